// SPDX-License-Identifier: GPL-2.0-only
// One service is flooded; what do the others get meanwhile? viscum-bench-overload [--quick]
//
// In the bed of the tests: nginx "victim" is flooded by client 3, each flood bounded; client 1 asks nginx "other"
// beside it, and client 2 asks a server in the cloud, through the router, at an address that nobody claims. Quiet and
// loaded spells take turns, with both nginx as services of Viscum, and with two others in the router's own namespace.
// Flooder, clients, router and servers share this machine's processors: a flood costs the others what it takes of them,
// whatever stands between. So the rows are to be compared with each other, not with a router's. Services have a share
// of the processors as a group, programs of the router's one each: where others compute as well, not even that.
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <future>
#include <map>
#include <thread>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/bench/overload/flood.h"
#include "tests/bench/overload/measure.h"
#include "tests/bench/overload/stage.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr int kRounds = 5;
constexpr Millis kSpell{3'000};
constexpr Millis kQuickSpell{500};
constexpr Millis kPause{300};  // between two spells, for what the one before has left
constexpr std::uint64_t kSyns = 100'000;
constexpr std::uint64_t kSynsPerSecond = 30'000;
constexpr std::size_t kConnections = 2'000;
constexpr std::size_t kSlow = 1'000;
constexpr const char* kHalfRequest = "GET / HTTP/1.1\r\nHost: slow.example\r\n";
constexpr const char* kQuiet = "quiet";
constexpr const char* kSynFlood = "SYN flood";
constexpr const char* kOther = "other service";
constexpr const char* kTransit = "transit";

/// Goes on until it is told to stop; returns how many packets it sent, or more.
using Flood = std::function<std::uint64_t(const NetNs& from, const Endpoint& to, const std::stop_token& stopped)>;

void wait_for_stop(const std::stop_token& stopped) {
    while (!stopped.stop_requested()) {
        std::this_thread::sleep_for(5ms);
    }
}

std::uint64_t stay_quiet(const NetNs& /*from*/, const Endpoint& /*to*/, const std::stop_token& stopped) {
    wait_for_stop(stopped);
    return 0;
}

std::uint64_t hold(const NetNs& from, const Endpoint& to, const std::stop_token& stopped, std::size_t count,
                   const std::string& said) {
    const auto held = HeldConnections::open(from, to, count, said, stopped);
    if (held.size() < count) {
        std::printf("only %zu of %zu connections could be made\n", held.size(), count);
    }
    while (!said.empty() && !stopped.stop_requested()) {
        held.say("X-Slow: 1\r\n");
        std::this_thread::sleep_for(200ms);
    }
    wait_for_stop(stopped);
    return held.size();
}

const std::vector<std::pair<std::string, Flood>>& conditions() {
    static const std::vector<std::pair<std::string, Flood>> kConditions = {
        {kQuiet, stay_quiet},
        {kSynFlood,
         [](const NetNs& from, const Endpoint& to, const std::stop_token& stopped) {
             return must(flood_with_syns(from, {to, kSyns, kSynsPerSecond, campaign_seed()}, stopped));
         }},
        {"quiet again", stay_quiet},
        {"connections", [](const NetNs& from, const Endpoint& to,
                           const std::stop_token& stopped) { return hold(from, to, stopped, kConnections, ""); }},
        {"slowloris", [](const NetNs& from, const Endpoint& to,
                         const std::stop_token& stopped) { return hold(from, to, stopped, kSlow, kHalfRequest); }},
    };
    return kConditions;
}

/// What no figure tells, of all spells of one kind.
struct Count {
    std::uint64_t answered = 0;
    std::uint64_t others = 0;
    std::uint64_t failed = 0;
};

class Bench {
public:
    explicit Bench(Scale scale)
        : figures_(
              "overload",
              cat("nginx is flooded by one client: ", kSynsPerSecond, " SYNs a second, ", kConnections,
                  " connections that say nothing, ", kSlow,
                  " that say a little now and then. Another client asks another nginx, and a third one a server "
                  "in the cloud, at the same time, one request after the other. Both nginx are services of Viscum, "
                  "or programs in the router's own namespace. Flooder, clients, router and servers share the "
                  "processors."),
              scale) {}

    int run() {
        const int rounds = figures_.scale() == Scale::full ? kRounds : 1;
        for (int round = 0; round < rounds; ++round) {
            for (const auto& [condition, flood] : conditions()) {
                for (const Side& side : stage_.sides()) {
                    spell(side, condition, flood);
                    std::this_thread::sleep_for(kPause);
                }
            }
        }
        const std::string ours = stage_.sides().front().name;
        figures_.expect_ratio(Target::Bound::at_most, cat(ours, ", ", kSynFlood), cat(ours, ", ", kQuiet),
                              cat(kOther, ": p99"), 2);
        for (const auto& [what, count] : counts_) {
            if (count.failed > 0 || count.others > 0) {
                figures_.note(cat(what, ": of ", count.answered + count.failed, " requests ", count.failed,
                                  " failed, and ", count.others, " were answered by the cloud."));
            }
        }
        must(figures_.finish());
        if (figures_.scale() == Scale::full) {
            must(record(for_reliability()));
        }
        return 0;
    }

private:
    void spell(const Side& side, const std::string& condition, const Flood& flood) {
        const bool quick = figures_.scale() == Scale::quick;
        const Millis length = quick ? kQuickSpell : kSpell;
        const std::uint64_t taken = stage_.packets_of_victim();
        std::atomic<std::uint64_t> sent = 0;
        Measured other;
        Measured transit;
        {
            const std::jthread flooder(
                [&](const std::stop_token& stopped) { sent = flood(stage_.flooder(), side.victim, stopped); });
            std::this_thread::sleep_for(quick ? 50ms : 200ms);  // connections are made
            auto through = std::async(std::launch::async, [&] {
                return measure(stage_.client(2), stage_.request(2, kUnclaimed), "cloud", length);
            });
            other = measure(stage_.client(1), stage_.request(1, side.other), side.answer, length);
            transit = through.get();
        }
        check_flood(side, condition, sent, stage_.packets_of_victim() - taken);
        note(side, condition, kOther, other);
        note(side, condition, kTransit, transit);
    }

    /// Viscum's own counters tell whom the flood has reached.
    static void check_flood(const Side& side, const std::string& condition, std::uint64_t sent, std::uint64_t taken) {
        const bool quiet = condition.starts_with(kQuiet);
        if (!quiet && sent == 0) {
            give_up(cat(condition, ": nothing was sent"));
        }
        // A flood's last packets may have been dropped on their way.
        if (side.ours && !quiet ? taken < sent / 2 : taken != 0) {
            give_up(cat(side.name, ", ", condition, ": of ", sent, " packets sent ", taken, " came to the service"));
        }
    }

    void note(const Side& side, const std::string& condition, const std::string& flow, const Measured& measured) {
        const std::string subject = cat(side.name, ", ", condition);
        const bool quiet = condition == kQuiet;
        if (measured.answered == 0 || (quiet && (measured.others > 0 || measured.failed > 0))) {
            give_up(cat(subject, ": ", flow, ": ", measured.answered, " answers, of which ", measured.others,
                        " were another's, and ", measured.failed, " requests failed"));
        }
        figures_.add(subject, cat(flow, ": requests/s"), "", measured.per_second);
        figures_.add(subject, cat(flow, ": p50"), "ms", measured.p50_ms);
        figures_.add(subject, cat(flow, ": p99"), "ms", measured.p99_ms);
        Count& count = counts_[cat(subject, ", ", flow)];
        count.answered += measured.answered;
        count.others += measured.others;
        count.failed += measured.failed;
    }

    static std::string text_of(const Series* series, int digits) {
        const Spread spread = spread_of(series->values);
        char text[64];
        std::snprintf(text, sizeof text, "%.*f (%.*f to %.*f)", digits, spread.median, digits, spread.least, digits,
                      spread.most);
        return text;
    }

    /// The same figures, as docs/reliability.md shows them.
    [[nodiscard]] Figures for_reliability() const {
        double load = 0;
        (void)getloadavg(&load, 1);
        char load_text[32];
        std::snprintf(load_text, sizeof load_text, "%.1f", load);
        Figures all{"overload", "Others, while one service is flooded", "make bench BENCH=overload", {}};
        all.values.emplace_back("processors, shared with the flooder", std::to_string(sysconf(_SC_NPROCESSORS_ONLN)));
        all.values.emplace_back("load of the machine at the end", load_text);
        for (const Side& side : stage_.sides()) {
            for (const auto& [condition, flood] : conditions()) {
                for (const std::string flow : {kOther, kTransit}) {
                    const std::string subject = cat(side.name, ", ", condition);
                    const Count& count = counts_.at(cat(subject, ", ", flow));
                    all.values.emplace_back(
                        cat(side.ours ? "" : "nginx in the router itself: ", flow, ", ", condition),
                        cat(text_of(figures_.find(subject, cat(flow, ": requests/s")), 0), " requests/s, p99 ",
                            text_of(figures_.find(subject, cat(flow, ": p99")), 2), " ms, ", count.failed, " failed",
                            count.others > 0 ? cat(", ", count.others, " by the cloud") : ""));
                }
            }
        }
        return all;
    }

    Measurements figures_;
    Stage stage_;
    std::map<std::string, Count> counts_;
};

int compare(Scale scale) {
    // Of the connections that are held, this process has the flooder's ends.
    const rlimit many{16'384, 16'384};
    if (setrlimit(RLIMIT_NOFILE, &many) < 0) {
        std::perror("cannot hold many connections");
        return 1;
    }
    return Bench(scale).run();
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::compare(scale); });
}
