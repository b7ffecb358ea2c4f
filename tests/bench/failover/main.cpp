// SPDX-License-Identifier: GPL-2.0-only
// How long until the cloud answers, and what do clients feel? viscum-bench-failover [--quick]
//
// A client makes one connection after the other, without pause, each with one request, while the local nginx is killed,
// hangs, or is drained, and while viscumd is away. Every answer says who gave it, and must be of whom it is to be.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <thread>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/bench/failover/stage.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;
using Bound = Target::Bound;

// A service that was killed stays away for this long, so that who answers is beyond doubt.
constexpr Millis kBackoff{5'000};
constexpr Millis kInterval{500};
constexpr Millis kTimeout{500};
constexpr int kFall = 2;
constexpr Millis kPatience{20};  // of a client, where the service hangs
constexpr Millis kLimit{20'000};
constexpr const char* kToAnswer = "kill to the cloud's answer";
constexpr const char* kToRequest = "kill to the beginning of that request";
constexpr const char* kRequest = "that request alone";
constexpr const char* kCalm = "a request to the cloud, undisturbed";
constexpr const char* kUntilWithdrawn = "hang to the cloud's answer";
constexpr const char* kCommand = "command to the first answer";
constexpr const char* kGap = "longest time without an answer";

const Local kOne{"one", "203.0.113.10", false, cat("restart: { backoff: ", kBackoff.count(), "ms }\n")};
const Local kTwo{"two", "203.0.113.20", true, kOne.more};
const Local kHung{"hung", "203.0.113.53", false,
                  cat("health: { http: { port: 80, path: /healthz }, interval: ", kInterval.count(),
                      "ms, timeout: ", kTimeout.count(), "ms, fall: ", kFall, " }\n")};

double ms(std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1e6;
}

struct Amount {
    int kills;                // of each kind
    std::size_t connections;  // around each kill
    int hangs;
    int absences;  // of viscumd, of each kind
    int drains;
};
constexpr Amount kFull{100, 600, 10, 5, 20};
constexpr Amount kQuick{2, 200, 1, 1, 1};

/// What clients felt, over all rounds of a subject.
struct Tally {
    std::size_t connections = 0;
    std::size_t failed = 0;     // neither answered nor reset
    std::size_t in_flight = 0;  // reset, begun before the kill
    std::size_t later = 0;      // reset, begun after it: the kernel still held the socket of what was dead

    void add(const std::vector<FlowRecord>& records, BootTime when) {
        connections += records.size();
        for (const FlowRecord& record : records) {
            const bool reset = record.outcome == Outcome::reset || record.outcome == Outcome::closed;
            failed += record.outcome != Outcome::answered && !reset ? 1U : 0U;
            (record.start < when ? in_flight : later) += reset ? 1U : 0U;
        }
    }
};

/// The end, if an answer before `when` is not the first's, or one after the second's first answer is not the second's.
/// Returns the latter.
FlowRecord check_turn(const std::string& what, const std::vector<FlowRecord>& records, BootTime when,
                      const std::string& before, const std::string& after) {
    const auto turn = std::ranges::find_if(
        records, [&](const FlowRecord& record) { return record.end >= when && record.who == after; });
    if (turn == records.end() || turn == records.begin()) {
        give_up(cat(what, ": '", after, "' did not answer before and after, or not at all"));
    }
    for (auto at = records.begin(); at != records.end(); ++at) {
        const bool answered = at->outcome == Outcome::answered;
        if (answered && (at->end < when || at >= turn) && at->who != (at < turn ? before : after)) {
            give_up(cat(what, ": '", at->who, "' answered ", ms(at->end - when), " ms after it"));
        }
    }
    return *turn;
}

class Bench {
public:
    explicit Bench(Scale scale)
        : amount_(scale == Scale::full ? kFull : kQuick),
          figures_(
              "failover",
              cat("A client makes one connection after the other, without pause, each with one request, and from "
                  "another address in each round. nginx is killed (SIGKILL) ",
                  amount_.kills,
                  " times: as one process, and its master, which has a worker that answers. Or it hangs (SIGSTOP; "
                  "health by HTTP every ",
                  kInterval.count(), " ms, timeout ", kTimeout.count(), " ms, fall ", kFall,
                  "), or is drained and resumed, or viscumd is away and comes back. The time is taken right before "
                  "kill(2), and when the cloud's first answer is complete at the client."),
              scale) {}

    int run() {
        stage_.deploy(kOne);
        stage_.deploy(kTwo);
        stage_.deploy(kHung);
        Tally one;
        Tally two;
        for (int i = 0; i < amount_.kills; ++i) {
            crash("crash of nginx, one process", kOne, one);
            crash("crash of nginx's master", kTwo, two);
        }
        tell_crashes("crash of nginx, one process", one);
        tell_crashes("crash of nginx's master", two);
        expect_none_failed("crashes", one.connections + two.connections, one.failed + two.failed);
        hang();
        absences();
        drain();
        must(figures_.finish());
        return 0;
    }

private:
    std::unique_ptr<FlowClient> begin(const Local& local, std::optional<Millis> patience = std::nullopt) {
        HttpRequest request = stage_.from_fresh_address(local);
        request.limit = patience.value_or(request.limit);
        return std::make_unique<FlowClient>(stage_.client(), FlowClient::Options{.request = request});
    }

    void crash(const std::string& subject, const Local& local, Tally& tally) {
        stage_.restart(local);
        const auto processes = stage_.processes_of(local);
        if (processes.size() != (local.master ? 2U : 1U)) {
            give_up(cat(subject, ": it has ", processes.size(), " processes"));
        }
        const auto flow = begin(local);
        await_count(*flow, amount_.connections / 2);
        std::this_thread::sleep_for(std::chrono::microseconds(dice_() % 2'000));  // at any instant of a request
        const BootTime when = boot_now();
        if (kill(processes.front(), SIGKILL) != 0) {
            give_up(cat(local.name, " is gone already"));
        }
        (void)flow->wait_for("cloud", when, kLimit);
        await_count(*flow, amount_.connections);
        (void)flow->stop();
        const auto records = flow->records();
        if (boot_now() > when + kBackoff) {
            give_up(cat(subject, ": a round took longer than the service is away"));
        }
        const FlowRecord first = check_turn(subject, records, when, "local", "cloud");
        tally.add(records, when);
        figures_.add(subject, kToAnswer, "ms", ms(first.end - when));
        figures_.add(subject, kToRequest, "ms", std::max(0.0, ms(first.start - when)));
        figures_.add(subject, kRequest, "ms", ms(first.end - first.start));
        // Where a worker lives on for a while, it is not the cloud that clients wait for.
        std::vector<FlowRecord> around;
        for (const FlowRecord& record : records) {
            if (record.end < when) {
                around.clear();
            }
            if (record.start <= first.start) {
                around.push_back(record);
            }
        }
        figures_.add(subject, kGap, "ms", ms(summarize(around).longest_gap));
        std::vector<double> calm;
        for (const FlowRecord& record : records) {
            if (record.start > first.end + 10ms) {
                calm.push_back(ms(record.end - record.start));
            }
        }
        if (!calm.empty()) {
            figures_.add(subject, kCalm, "ms", percentile(calm, 0.5));
        }
    }

    void tell_crashes(const std::string& subject, const Tally& tally) {
        const Series* times = figures_.find(subject, kToAnswer);
        if (times == nullptr) {
            give_up(cat(subject, ": no round is left"));
        }
        figures_.expect({cat(kToAnswer, ", p99, ", subject), Bound::at_most, 1, "ms", percentile(times->values, 0.99)});
        figures_.note(cat(subject, ": of ", count_of(tally.connections), " connections ", tally.failed, " failed; ",
                          tally.in_flight, " were reset that stood at a kill, and ", tally.later,
                          " that the kernel still took for the killed process."));
    }

    void expect_none_failed(const std::string& what, std::size_t connections, std::size_t failed) {
        figures_.expect({cat("connections that failed of ", count_of(connections), ", ", what), Bound::at_most, 0, "",
                         static_cast<double>(failed)});
    }
    static std::string count_of(std::size_t count) { return number_text(static_cast<double>(count)); }

    void hang() {
        const std::string subject = "hang of nginx";
        std::size_t stuck = 0;
        for (int i = 0; i < amount_.hangs; ++i) {
            stage_.restart(kHung);
            const pid_t victim = stage_.processes_of(kHung).front();
            const auto flow = begin(kHung, kPatience);
            await_count(*flow, 100);
            std::this_thread::sleep_for(std::chrono::milliseconds(dice_() % kInterval.count()));  // between two probes
            const BootTime when = boot_now();
            (void)kill(victim, SIGSTOP);
            (void)flow->wait_for("cloud", when, kLimit);
            (void)flow->stop();
            (void)kill(victim, SIGCONT);
            const auto records = flow->records();
            const FlowRecord first = check_turn(subject, records, when, "local", "cloud");
            figures_.add(subject, kUntilWithdrawn, "ms", ms(first.end - when));
            const std::size_t before = stuck;
            for (const FlowRecord& record : records) {
                if (record.end < when && record.outcome != Outcome::answered) {
                    give_up(cat("a request failed before the service hung: ", record.error));
                }
                stuck += record.outcome == Outcome::timed_out ? 1U : 0U;
            }
            if (stuck == before) {
                give_up("no request had to wait, so nothing hung");
            }
        }
        const double promised = ms(kFall * kInterval + kTimeout);
        const Series* times = figures_.find(subject, kUntilWithdrawn);
        figures_.expect(
            {cat(kUntilWithdrawn, ", p99: fall x interval + timeout, and the client's own ", kPatience.count(), " ms"),
             Bound::at_most, promised + ms(kPatience), "ms", percentile(times->values, 0.99)});
        figures_.note(cat(subject,
                          ": a program that hangs still has its listening socket, so nothing but a probe tells. "
                          "The client gives each request ",
                          kPatience.count(), " ms; ", stuck,
                          " had no answer in that time before the service was withdrawn."));
    }

    void absence(const std::string& subject, const std::function<void()>& go, Tally& tally) {
        stage_.restart(kOne);
        const auto flow = begin(kOne);
        const std::size_t third = amount_.connections / 3;
        await_count(*flow, third);
        go();
        await_count(*flow, flow->records().size() + third);
        if (!stage_.viscumd().running()) {
            must(stage_.viscumd().start_again());
        }
        await_count(*flow, flow->records().size() + third);
        const FlowSummary seen = flow->stop();
        tally.add(flow->records(), BootTime::max());
        if (seen.cloud > 0) {
            give_up(cat(subject, ": the cloud answered ", seen.cloud, " times"));
        }
        figures_.add(subject, kGap, "ms", ms(seen.longest_gap));
    }

    void absences() {
        Tally tally;
        for (int i = 0; i < amount_.absences; ++i) {
            absence(
                "viscumd runs", [] {}, tally);
            absence(
                "viscumd is killed, and starts again", [this] { (void)stage_.viscumd().kill(); }, tally);
            absence(
                "viscumd is stopped, and starts again", [this] { (void)stage_.viscumd().stop(); }, tally);
        }
        expect_none_failed("while viscumd comes and goes", tally.connections, tally.failed + tally.in_flight);
    }

    void drain() {
        Tally tally;
        for (int i = 0; i < amount_.drains; ++i) {
            for (const auto& [verb, before, after] :
                 {std::tuple{"drain", "local", "cloud"}, {"resume", "cloud", "local"}}) {
                stage_.await(kOne, before);
                auto kept = must(KeptConnection::open(stage_.client(), stage_.from_fresh_address(kOne)));
                const auto flow = begin(kOne);
                await_count(*flow, amount_.connections / 4);
                const BootTime when = boot_now();
                stage_.ctl({verb, kOne.name});
                (void)flow->wait_for(after, when, kLimit);
                await_count(*flow, flow->records().size() + amount_.connections / 4);
                (void)flow->stop();
                const auto records = flow->records();
                const FlowRecord first = check_turn(verb, records, when, before, after);
                if (const std::string who = kept.get().who(); who != before) {
                    give_up(cat(verb, ": a connection that stood with '", before, "' is answered by '", who, "'"));
                }
                tally.add(records, BootTime::max());
                figures_.add(verb, kCommand, "ms", ms(first.end - when));
            }
        }
        expect_none_failed("while it is drained and resumed", tally.connections, tally.failed + tally.in_flight);
    }

    Amount amount_;
    Measurements figures_;
    Stage stage_;
    std::mt19937 dice_{campaign_seed()};
};

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::Bench(scale).run(); });
}
