// SPDX-License-Identifier: GPL-2.0-only
// One service is flooded; what do the others get meanwhile? viscum-bench-overload [--quick]
//
// In the bed of the tests: nginx "victim" is flooded by client 3, each flood bounded; client 1 asks nginx "other"
// beside it, and client 2 asks a server in the cloud, through the router, at an address that nobody claims. Quiet and
// loaded spells take turns. Twice: with both nginx as services of Viscum, and with both in the router's own namespace.
// Flooder, clients, router and servers share this machine's processors: a flood costs the others what it takes of them,
// whatever stands between. So the rows are to be compared with each other, not with a router's.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/bench/overload/flood.h"
#include "tests/bench/overload/measure.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"
#include "tests/support/servers.h"
#include "tests/support/viscumd.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr int kRounds = 5;
constexpr Millis kSpell{3'000};
constexpr Millis kQuickSpell{500};
constexpr Millis kPause{300};  // between two spells, for what the one before has left
constexpr int kFlooder = 3;
constexpr std::uint64_t kSyns = 100'000;
constexpr std::uint64_t kSynsPerSecond = 30'000;
constexpr std::size_t kConnections = 2'000;
constexpr std::size_t kSlow = 1'000;
constexpr const char* kHalfRequest = "GET / HTTP/1.1\r\nHost: slow.example\r\n";

const Endpoint kVictim = Endpoint::of("203.0.113.20", 80);
const Endpoint kOther = Endpoint::of("203.0.113.10", 80);
const Endpoint kTransit = Endpoint::of("203.0.113.53", 80);  // nobody claims it

template <class T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().what.c_str());
        std::exit(1);
    }
    return *std::move(result);
}
void must(const Status& status) {
    if (!status) {
        std::fprintf(stderr, "%s\n", status.error().what.c_str());
        std::exit(1);
    }
}

/// As the tests have it, but with room for all connections of a flood: it is the machine that is to be shared.
Server roomy_nginx(const std::string& name, const std::string& listen) {
    Server server = must(nginx(name, name, {listen}));
    const std::string config = cat("/srv/nginx-", name, "/nginx.conf");
    std::string text = must(read_file(config, 65'536));
    constexpr std::string_view kNarrow = "worker_connections 512;";
    text.replace(text.find(kNarrow), kNarrow.size(), "worker_connections 8192;");
    must(write_file_atomically(config, text, 0644));
    return server;
}

/// Goes on until it is told to stop.
using Flood = std::function<void(const NetNs& from, const std::stop_token& stopped)>;

void wait_for_stop(const std::stop_token& stopped) {
    while (!stopped.stop_requested()) {
        std::this_thread::sleep_for(5ms);
    }
}

void hold(const NetNs& from, const std::stop_token& stopped, std::size_t count, const std::string& said) {
    const auto held = HeldConnections::open(from, kVictim, count, said, stopped);
    if (held.size() < count) {
        std::printf("only %zu of %zu connections could be made\n", held.size(), count);
    }
    while (!said.empty() && !stopped.stop_requested()) {
        held.say("X-Slow: 1\r\n");
        std::this_thread::sleep_for(200ms);
    }
    wait_for_stop(stopped);
}

const std::vector<std::pair<std::string, Flood>>& conditions() {
    static const std::vector<std::pair<std::string, Flood>> kConditions = {
        {"quiet", [](const NetNs&, const std::stop_token& stopped) { wait_for_stop(stopped); }},
        {"SYN flood",
         [](const NetNs& from, const std::stop_token& stopped) {
             must(flood_with_syns(from, {kVictim, kSyns, kSynsPerSecond, campaign_seed()}, stopped));
         }},
        {"quiet again", [](const NetNs&, const std::stop_token& stopped) { wait_for_stop(stopped); }},
        {"connections",
         [](const NetNs& from, const std::stop_token& stopped) { hold(from, stopped, kConnections, ""); }},
        {"slowloris",
         [](const NetNs& from, const std::stop_token& stopped) { hold(from, stopped, kSlow, kHalfRequest); }},
    };
    return kConditions;
}

struct Row {
    std::string where;      // "viscum", "router"
    std::string condition;  //
    std::string flow;       // "other service", "transit"
    std::vector<double> per_second, p50, p99;
    std::uint64_t answered = 0, others = 0, failed = 0;
};

class Bench {
public:
    explicit Bench(bool quick) : quick_(quick), bed_(must(Bed::make({.clients = 3}))) {
        must(ip_batch(bed_->hotspot(), "link set br-lan address 02:00:00:00:00:01\n"));
        cloud_ = must(start_server(must(nginx("cloud", "cloud", {"80"})), bed_->cloud(), 80));
        must(FloodSources::add(*bed_, kFlooder));
    }

    void as_services() {
        Viscumd viscumd = must(
            Viscumd::start(bed_->hotspot(), {.config = "viscum: 1\nclaimable: [203.0.113.0/24]\nlan: [br-lan]\n"}));
        for (const auto& [name, at] : {std::pair{"victim", kVictim}, std::pair{"other", kOther}}) {
            const Server server = roomy_nginx(name, "80");
            const std::string file = must(
                write_service(name, cat("viscum: 1\nname: ", name, "\nintercept:\n  - { address: ", at.address.text(),
                                        ", port: 80 }\nrun:\n  command: ['", join(server.command, "', '"),
                                        "']\nlimits: { open_files: 10000 }\n")));
            if (const RunOutput output = viscumd.ctl({"deploy", file}); output.status != 0) {
                std::fprintf(stderr, "%s%s", output.err.c_str(), viscumd.log().c_str());
                std::exit(1);
            }
        }
        rounds("viscum");
        for (const char* name : {"victim", "other"}) {
            (void)viscumd.ctl({"remove", name, "--wait", "0s"});
        }
        viscumd.stop();
    }

    /// Both servers as programs of the router's, which owns their addresses.
    void in_the_router() {
        must(ip_batch(bed_->hotspot(), "address add 203.0.113.20/32 dev lo\naddress add 203.0.113.10/32 dev lo\n"));
        const auto victim = must(start_server(roomy_nginx("victim", "203.0.113.20:80"), bed_->hotspot(), 80));
        const auto other = must(start_server(roomy_nginx("other", "203.0.113.10:80"), bed_->hotspot(), 80));
        rounds("router");
    }
    [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

private:
    void rounds(const std::string& where) {
        for (int round = 0; round < (quick_ ? 1 : kRounds); ++round) {
            for (const auto& [condition, flood] : conditions()) {
                spell(where, condition, flood);
                std::this_thread::sleep_for(kPause);
            }
        }
    }

    void spell(const std::string& where, const std::string& condition, const Flood& flood) {
        const Millis length = quick_ ? kQuickSpell : kSpell;
        std::jthread flooder([&](const std::stop_token& stopped) { flood(bed_->client(kFlooder), stopped); });
        std::this_thread::sleep_for(quick_ ? 50ms : 200ms);  // connections are made
        auto transit =
            std::async(std::launch::async, [&] { return measure(bed_->client(2), kTransit, "cloud", length); });
        note(where, condition, "other service", measure(bed_->client(1), kOther, "other", length));
        note(where, condition, "transit", transit.get());
    }

    void note(const std::string& where, const std::string& condition, const std::string& flow,
              const Measured& measured) {
        auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& one) {
            return one.where == where && one.condition == condition && one.flow == flow;
        });
        if (row == rows_.end()) {
            row = rows_.insert(rows_.end(), {where, condition, flow, {}, {}, {}});
        }
        row->per_second.push_back(measured.per_second);
        row->p50.push_back(measured.p50_ms);
        row->p99.push_back(measured.p99_ms);
        row->answered += measured.answered;
        row->others += measured.others;
        row->failed += measured.failed;
    }

    bool quick_;
    std::unique_ptr<Bed> bed_;
    std::optional<Program> cloud_;
    std::vector<Row> rows_;
};

std::string text_of(const Range& range, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f (%.*f to %.*f)", digits, range.median, digits, range.least, digits,
                  range.most);
    return text;
}

nlohmann::ordered_json json_of(const Range& range) {
    return {{"median", range.median}, {"min", range.least}, {"max", range.most}};
}

void show(const std::vector<Row>& rows) {
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    double load = 0;
    (void)getloadavg(&load, 1);
    // Services have a share of the processors as a group, programs of the router's one each: where others compute as
    // well, the two are not to be compared.
    std::printf(
        "Medians of all rounds (least to most). Flooder, clients, router and servers share %ld processors; the load "
        "of the last minute is %.1f,\nof which at most 4 or so is this program's own: with more, the figures say "
        "little.\n\n",
        processors, load);
    std::printf("%-7s %-12s %-14s %-26s %-22s %-24s %8s %6s\n", "where", "spell", "flow", "requests/s", "p50 ms",
                "p99 ms", "answered", "failed");
    nlohmann::ordered_json json;
    json["processors"] = processors;
    json["load"] = load;
    json["rows"] = nlohmann::ordered_json::array();
    Figures figures{"overload", "Others, while one service is flooded", "make bench-overload", {}};
    char load_text[32];
    std::snprintf(load_text, sizeof load_text, "%.1f", load);
    figures.values.emplace_back("processors, shared with the flooder", std::to_string(processors));
    figures.values.emplace_back("load of the machine at the end", load_text);
    for (const Row& row : rows) {
        const Range rate = range_of(row.per_second);
        const Range p50 = range_of(row.p50);
        const Range p99 = range_of(row.p99);
        std::printf("%-7s %-12s %-14s %-26s %-22s %-24s %8llu %6llu%s\n", row.where.c_str(), row.condition.c_str(),
                    row.flow.c_str(), text_of(rate, 0).c_str(), text_of(p50, 2).c_str(), text_of(p99, 2).c_str(),
                    static_cast<unsigned long long>(row.answered), static_cast<unsigned long long>(row.failed),
                    row.others > 0 ? cat("  ", row.others, " by the cloud").c_str() : "");
        json["rows"].push_back({{"where", row.where},
                                {"spell", row.condition},
                                {"flow", row.flow},
                                {"requests_per_second", json_of(rate)},
                                {"p50_ms", json_of(p50)},
                                {"p99_ms", json_of(p99)},
                                {"answered", row.answered},
                                {"answered_by_another", row.others},
                                {"failed", row.failed}});
        figures.values.emplace_back(
            cat(row.where == "viscum" ? "" : "nginx in the router itself: ", row.flow, ", ", row.condition),
            cat(text_of(rate, 0), " requests/s, p99 ", text_of(p99, 2), " ms, ", row.failed, " failed",
                row.others > 0 ? cat(", ", row.others, " by the cloud") : ""));
    }
    must(make_directory(VISCUM_BENCH_DIR, 0755));
    must(write_file_atomically(VISCUM_BENCH_DIR "/overload.json", json.dump(2) + "\n", 0644));
    must(record(figures));
}

int compare(bool quick) {
    // Held connections: both ends of none of them are here, but the flooder's are.
    const rlimit many{16'384, 16'384};
    if (setrlimit(RLIMIT_NOFILE, &many) < 0) {
        std::perror("cannot hold many connections");
        return 1;
    }
    Bench bench(quick);
    bench.as_services();
    bench.in_the_router();
    show(bench.rows());
    return 0;
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const bool quick = argc > 1 && std::string_view(argv[1]) == "--quick";
    return viscum::run_in_sandbox([quick] { return viscum::compare(quick); });
}
