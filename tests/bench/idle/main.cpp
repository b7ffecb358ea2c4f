// SPDX-License-Identifier: GPL-2.0-only
// What Viscum costs while nothing happens: processor time and wake-ups of its own programs, with services that are
// healthy and asked every 2 s, as the defaults have it. viscum-bench-idle [--quick]
#include <poll.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "tests/bench/many/many.h"
#include "tests/bench/many/process_use.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr int kWindows = 6;
constexpr int kWindow = 10'000;  // milliseconds: the lease is renewed once in each
constexpr int kQuickWindow = 3'000;
constexpr int kRest = 2'500;         // after a deploy: everything has been asked once
constexpr double kProbeEvery = 2.2;  // seconds, at most: the interval, with room
const std::vector<std::size_t> kNumbers{0, 10, 100};
const std::vector<std::size_t> kQuickNumbers{0, 10};
constexpr std::size_t kTargeted = 10;

constexpr const char* kOwn = "all of Viscum";
constexpr const char* kServices = "the services, for the probes";
/// By comm, at most 15 bytes.
const std::vector<std::pair<std::string, std::string>> kPrograms{{"viscumd", "viscumd"},
                                                                 {"viscum-prober", "viscum-prober"},
                                                                 {"viscum-shim", "all viscum-shim"},
                                                                 {"viscum-bench-li", kServices}};

using Uses = std::map<std::string, CpuUse>;  // by the row's name

Uses uses_now() {
    Uses uses;
    for (const auto& [comm, row] : kPrograms) {
        for (const pid_t pid : processes_named(comm)) {
            uses[row] += must(cpu_of(pid));
        }
        if (row != kServices) {
            uses[kOwn] += uses[row];
        }
    }
    return uses;
}

class Bench {
public:
    explicit Bench(Scale scale)
        : quick_(scale == Scale::quick),
          figures_("idle",
                   cat("Processor time (schedstat) and voluntary context switches of Viscum's programs with 0 to 100 "
                       "healthy services, an http probe of each every 2 s and no client: ",
                       kWindows, " windows of ", kWindow / 1'000, " s. The services are a small static program."),
                   scale),
          many_(ProbeKind::http) {
        figures_.axis("services");
    }

    int run() {
        std::size_t there = 0;
        for (const std::size_t number : quick_ ? kQuickNumbers : kNumbers) {
            many_.deploy(there, number);
            there = number;
            poll(nullptr, 0, kRest);
            many_.check_all_up(number);
            const auto before = everyone();
            for (int round = 0; round < (quick_ ? 1 : kWindows); ++round) {
                window(number);
            }
            many_.check_all_up(number);
            if (everyone() != before) {
                give_up("processes ended or began in a time in which nothing was to happen");
            }
        }
        figures_.expect(Target::Bound::at_most, kOwn, "processor", 0.1, kTargeted);
        must(figures_.finish());
        return 0;
    }

private:
    static std::vector<pid_t> everyone() {
        std::vector<pid_t> all;
        for (const auto& [comm, row] : kPrograms) {
            const auto pids = processes_named(comm);
            all.insert(all.end(), pids.begin(), pids.end());
        }
        return all;
    }

    void window(std::size_t number) {
        const BootTime start = boot_now();
        const Uses before = uses_now();
        poll(nullptr, 0, quick_ ? kQuickWindow : kWindow);
        const Uses after = uses_now();
        const double seconds = ms_since(start) / 1'000;
        const auto at = static_cast<double>(number);
        for (const auto& [row, use] : after) {
            const CpuUse used = use - before.at(row);
            const double share = static_cast<double>(used.nanoseconds) / 1e9 / seconds;
            figures_.add(row, "processor", "% of a core", share * 100, at);
            figures_.add(row, "processor time", "s/hour", share * 3'600, at);
            figures_.add(row, "wake-ups/s", "", static_cast<double>(used.wakeups) / seconds, at);
        }
        check_probed(after, before, number, seconds);
    }

    /// Every connection wakes the service that waits for it: without probes it would sleep.
    static void check_probed(const Uses& after, const Uses& before, std::size_t number, double seconds) {
        const double wanted = static_cast<double>(number) * std::max(1.0, seconds / kProbeEvery - 1);
        const auto row = after.find(kServices);
        const double woken = row == after.end() ? 0 : static_cast<double>((row->second - before.at(kServices)).wakeups);
        if (woken < wanted) {
            give_up(cat(number, " services were woken ", woken, " times in ", seconds, " s: they are not asked"));
        }
    }

    bool quick_;
    Measurements figures_;
    Many many_;
};

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::Bench(scale).run(); });
}
