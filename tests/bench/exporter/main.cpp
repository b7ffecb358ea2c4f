// SPDX-License-Identifier: GPL-2.0-only
// What viscum-exporter takes: its size, memory and wake-ups while nobody reads, and what a reader waits for with one to
// a hundred services. viscum-bench-exporter [--quick]
#include <poll.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "controller/ipc/observe.h"
#include "tests/bench/many/many.h"
#include "tests/bench/many/process_use.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/support/endpoint.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr const char* kProgram = "viscum-exporter";
constexpr const char* kName = "viscum-exporter";
constexpr const char* kAddress = "127.0.0.1";
constexpr std::uint16_t kPort = 9'477;
constexpr std::size_t kFileLimit = 1024 * 1024;
constexpr double kKB = 1'000;
constexpr int kWindows = 3;
constexpr int kWindow = 10'000;  // milliseconds
constexpr int kQuickWindow = 1'000;
constexpr int kRounds = 11;
constexpr int kOld = 1'100;  // milliseconds: what the exporter knows is older than a second then
constexpr std::chrono::seconds kLimit{5};
constexpr int kSteps = 100;  // of 50 ms, until it listens
const std::vector<std::size_t> kNumbers{0, 1, 10, 100};
const std::vector<std::size_t> kQuickNumbers{0, 1, 3};

/// viscumd looks for it when it starts.
void make_account() {
    constexpr const char* kNumber = "64901";
    const auto add = [](const std::string& file, const std::string& line) {
        must(write_file_atomically(file, cat(must(read_file(file, kFileLimit)), line, "\n"), 0644));
    };
    add("/etc/group", cat(kObserverAccount, ":x:", kNumber, ":"));
    add("/etc/passwd", cat(kObserverAccount, ":x:", kNumber, ":", kNumber, "::/:/usr/sbin/nologin"));
}

/// The whole answer to a GET, until the exporter closes; empty: none.
std::string ask(const NetNs& ns, const std::string& path) {
    const Endpoint to = Endpoint::of(kAddress, kPort);
    const UniqueFd fd = must(open_socket(ns, SOCK_STREAM, to, {}));
    const SocketAddress address = to_sockaddr(to);
    const BootTime deadline = boot_now() + kLimit;
    const std::string text = cat("GET ", path, " HTTP/1.1\r\nHost: ", kAddress, "\r\n\r\n");
    if ((connect(fd.get(), address.get(), address.length) != 0 && errno != EINPROGRESS) ||
        !wait_for_socket(fd.get(), POLLOUT, deadline) ||
        send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
        return {};
    }
    std::string answer;
    char chunk[65'536];
    while (wait_for_socket(fd.get(), POLLIN, deadline)) {
        const auto got = recv(fd.get(), chunk, sizeof chunk, 0);
        if (got <= 0) {
            break;
        }
        answer.append(chunk, static_cast<std::size_t>(got));
    }
    return answer;
}

class Bench {
public:
    explicit Bench(Scale scale)
        : quick_(scale == Scale::quick),
          figures_("exporter",
                   cat("viscum-exporter as a package has it (-DVISCUM_LTO=ON), beside viscumd with 0 to 100 healthy "
                       "services. Idle: nobody reads, ",
                       kWindows, " windows of ", kWindow / 1'000, " s. Scrapes: /metrics over the loopback, ", kRounds,
                       " at each number: where viscumd is asked, as the last answer is older than a second, and at "
                       "once after that. KB is 1,000 bytes."),
                   scale) {
        figures_.axis("services");
    }

    int run() {
        size();
        make_account();
        Many many(ProbeKind::http);
        start(many);
        std::size_t there = 0;
        for (const std::size_t number : quick_ ? kQuickNumbers : kNumbers) {
            many.deploy(there, number);
            there = number;
            many.check_all_up(number);
            // Once, for what it keeps from then on; what it knows already is from before.
            poll(nullptr, 0, kOld);
            (void)scrape(many, number);
            poll(nullptr, 0, kOld);
            idle(static_cast<double>(number));
            read(many, number);
        }
        expect(static_cast<double>(there));
        must(figures_.finish());
        return 0;
    }

private:
    static std::string program() {
        const char* given = std::getenv("VISCUM_BENCH_PROGRAMS");
        return cat(given != nullptr ? given : VISCUM_BIN_DIR, "/", kProgram);
    }

    void size() {
        const std::string stripped = cat("/tmp/", kProgram);
        (void)must(output_of({"strip", "--strip-all", "-o", stripped, program()}));
        figures_.add(kName, "stripped", "KB", static_cast<double>(std::filesystem::file_size(stripped)) / kKB);
        (void)must(output_of({"gzip", "-9", "-n", "-f", stripped}));
        figures_.add(kName, "stripped, gzip -9", "KB",
                     static_cast<double>(std::filesystem::file_size(stripped + ".gz")) / kKB);
    }

    void start(const Many& many) {
        exporter_ = must(Program::start({.argv = {program()}, .ns = &many.bed().hotspot()}));
        for (int step = 0; step < kSteps; ++step) {
            if (ask(many.bed().hotspot(), "/healthz").ends_with("ok\n")) {
                return;
            }
            poll(nullptr, 0, 50);
        }
        give_up("viscum-exporter does not answer");
    }

    /// Milliseconds; everything that is there has to be in the answer.
    double scrape(const Many& many, std::size_t number) {
        const BootTime start = boot_now();
        const std::string answer = ask(many.bed().hotspot(), "/metrics");
        const double took = ms_since(start);
        if (answer.find(cat("\nviscum_services ", number, "\n")) == std::string::npos) {
            give_up(cat("of ", number, " services /metrics says: ", answer.substr(0, 2'000)));
        }
        bytes_ = static_cast<double>(answer.size());
        return took;
    }

    void idle(double at) {
        for (int window = 0; window < (quick_ ? 1 : kWindows); ++window) {
            const BootTime start = boot_now();
            const CpuUse before = must(cpu_of(exporter_->pid()));
            poll(nullptr, 0, quick_ ? kQuickWindow : kWindow);
            const CpuUse used = must(cpu_of(exporter_->pid())) - before;
            figures_.add(kName, "idle: wake-ups/s", "", static_cast<double>(used.wakeups) * 1'000 / ms_since(start),
                         at);
            const MemoryUse memory = must(memory_of(exporter_->pid()));
            figures_.add(kName, "PSS", "KB", static_cast<double>(memory.pss) / kKB, at);
            figures_.add(kName, "RSS", "KB", static_cast<double>(memory.rss) / kKB, at);
        }
    }

    void read(Many& many, std::size_t number) {
        const auto at = static_cast<double>(number);
        for (int round = 0; round < (quick_ ? 2 : kRounds); ++round) {
            poll(nullptr, 0, kOld);
            const CpuUse exporter = must(cpu_of(exporter_->pid()));
            const CpuUse daemon = must(cpu_of(many.viscumd().pid()));
            figures_.add(kName, "scrape, viscumd is asked", "ms", scrape(many, number), at);
            add_time("its processor time", must(cpu_of(exporter_->pid())) - exporter, at);
            // A probe may fall into it: a median of many.
            add_time("viscumd's", must(cpu_of(many.viscumd().pid())) - daemon, at);
            figures_.add(kName, "scrape, known", "ms", scrape(many, number), at);
        }
        figures_.add(kName, "answer", "KB", bytes_ / kKB, at);
    }

    void add_time(const char* figure, const CpuUse& used, double at) {
        figures_.add(kName, figure, "ms", static_cast<double>(used.nanoseconds) / 1e6, at);
    }

    void expect(double most) {
        using enum Target::Bound;
        figures_.expect(at_most, kName, "stripped, gzip -9", 60);
        figures_.expect(at_most, kName, "PSS", 2'000, most);
        figures_.expect(at_most, kName, "idle: wake-ups/s", 0, most);
        figures_.expect(at_most, kName, "scrape, viscumd is asked", 10, most);
    }

    bool quick_;
    Measurements figures_;
    std::optional<Program> exporter_;
    double bytes_ = 0;
};

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::Bench(scale).run(); });
}
