// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "base/text.h"
#include "controller/supervise/health.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

const ProbeResult kGood{true, false, ""};
const ProbeResult kBad{false, false, "no answer within 1s"};
const ProbeResult kRefused{false, true, "connection refused"};
constexpr double kMiddle = 0.5;

HealthSpec spec() {
    HealthSpec health;  // 2 s, 1 s, fall 3, rise 2, start 30 s
    health.probe = TcpProbe{80};
    return health;
}

/// "+" a success, "-" a failure, "r" refused; after each "U" or "D".
std::string judged(HealthJudge& judge, const std::string& results) {
    std::string states;
    for (const char c : results) {
        judge.result(c == '+' ? kGood : c == 'r' ? kRefused : kBad, 1s);
        states += judge.up() ? 'U' : 'D';
    }
    return states;
}

TEST_CASE("health: a service starts as down and comes up with `rise` successes in a row") {
    HealthJudge judge(spec());
    judge.started(0s);
    CHECK_FALSE(judge.up());
    CHECK(judge.starting());
    CHECK(judged(judge, "+-+") == "DDD");
    CHECK(judge.starting());
    CHECK(judged(judge, "+") == "U");
    CHECK_FALSE(judge.starting());
}

TEST_CASE("health: a probe that could not be made says nothing of the service") {
    HealthSpec spec;
    spec.fall = spec.rise = 1;
    HealthJudge judge(spec);
    judge.started(0s);
    ProbeResult result{true, false, ""};
    judge.result(result, 0s);
    CHECK(judge.up());
    result = {false, false, "cannot create a socket: Too many open files", false};
    judge.result(result, 1s);
    CHECK(judge.up());
    CHECK(judge.reason() == "cannot create a socket: Too many open files");
}

TEST_CASE("health: `fall` failures in a row take it down, refused or not") {
    HealthJudge judge(spec());
    judge.started(0s);
    CHECK(judged(judge, "++--+-r-") == "DUUUUUUD");
    CHECK_FALSE(judge.starting());
    CHECK(judged(judge, "+-+-++") == "DDDDDU");
}

TEST_CASE("health: one result is enough where the file says so") {
    HealthSpec quick = spec();
    quick.rise = quick.fall = 1;
    HealthJudge judge(quick);
    judge.started(0s);
    CHECK(judged(judge, "+-+-") == "UDUD");
}

TEST_CASE("health: the reason is that of the last failure, and empty after a success") {
    HealthJudge judge(spec());
    judge.started(0s);
    CHECK(judge.reason().empty());
    judge.result(kBad, 1s);
    CHECK(judge.reason() == "no answer within 1s");
    judge.result(kRefused, 1s);
    CHECK(judge.reason() == "connection refused");
    judge.result(kGood, 1s);
    CHECK(judge.reason().empty());
}

TEST_CASE("health: a new start forgets everything") {
    HealthJudge judge(spec());
    judge.started(0s);
    CHECK(judged(judge, "+++") == "DUU");
    judge.started(10s);
    CHECK_FALSE(judge.up());
    CHECK(judge.starting());
    CHECK(judged(judge, "+-") == "DD");
    judge.started(20s);
    CHECK(judge.reason().empty());
    CHECK(judge.next_probe(20s, kMiddle) == 50ms);
}

TEST_CASE("health: a start times out only when the service was never up") {
    HealthJudge judge(spec());
    judge.started(100s);
    CHECK_FALSE(judge.start_timed_out(129'999ms));
    CHECK(judge.start_timed_out(130s));
    CHECK(judged(judge, "++---") == "DUUUD");
    CHECK_FALSE(judge.start_timed_out(1000s));
}

TEST_CASE("health: while it starts, the next probe comes after 50 ms, without jitter") {
    HealthJudge judge(spec());
    judge.started(0s);
    for (const double dice : {0.0, 0.5, 0.999}) {
        CHECK(judge.next_probe(0s, dice) == 50ms);
    }
    judge.result(kBad, 1s);
    CHECK(judge.next_probe(1s, 0) == 50ms);
    CHECK(judge.next_probe(29s, 0) == 50ms);
}

TEST_CASE("health: while it starts, a success is followed up after 5 ms") {
    HealthJudge judge(spec());
    judge.started(0s);
    judge.result(kGood, 20s);
    CHECK(judge.next_probe(20s, 0) == 5ms);
}

TEST_CASE("health: in the first 250 ms a refused probe is repeated after 5 ms") {
    HealthJudge judge(spec());
    judge.started(10s);
    judge.result(kRefused, 10s);
    CHECK(judge.next_probe(10s, 0) == 5ms);
    CHECK(judge.next_probe(10'249ms, 0) == 5ms);
    CHECK(judge.next_probe(10'250ms, 0) == 50ms);
    judge.result(kBad, 10s);
    CHECK(judge.next_probe(10s, 0) == 50ms);
}

TEST_CASE("health: a start that has timed out is asked no more often than a service that is down") {
    HealthJudge judge(spec());
    judge.started(0s);
    judge.result(kRefused, 30s);
    CHECK(judge.next_probe(30s, kMiddle) == 5s);
}

TEST_CASE("health: the pauses of a service that is up, on its way down, down, and on its way up") {
    HealthJudge judge(spec());
    judge.started(0s);
    judged(judge, "++");
    CHECK(judge.next_probe(1s, 0) == 2s);
    judged(judge, "-");
    CHECK(judge.next_probe(1s, 0) == 500ms);
    CHECK(judge.next_probe(1s, 0.999) == 450ms);
    judged(judge, "--");
    CHECK(judge.next_probe(1s, 0) == 4500ms);
    CHECK(judge.next_probe(1s, kMiddle) == 5s);
    CHECK(judge.next_probe(1s, 0.999) == 5499ms);
    judged(judge, "+");
    CHECK(judge.next_probe(1s, 0) == 450ms);
    CHECK(judge.next_probe(1s, kMiddle) == 500ms);
    CHECK(judge.next_probe(1s, 0.999) == 549ms);
}

TEST_CASE("health: probes of services that are up meet on a grid, within a tenth of their interval") {
    HealthJudge judge(spec());
    judge.started(0s);
    judged(judge, "++");
    for (const BootTime begun : {BootTime(1s), BootTime(1'001ms), BootTime(1'234'567'891ns), BootTime(1'499ms)}) {
        BootTime now = begun;
        int probes = 0;
        for (; now % 500ms != 0ns && probes < 10; ++probes) {
            const BootTime pause = judge.next_probe(now, kMiddle);
            CHECK(pause <= 2s);
            CHECK(pause >= 1'800ms);
            now += pause;
        }
        CHECK(probes <= 3);
        // The answer takes a while, and the grid is kept.
        CHECK(now + 3ms + judge.next_probe(now + 3ms, kMiddle) == now + 2s);
    }
    HealthSpec quickest = spec();
    quickest.interval = 3ms;
    HealthJudge quick(quickest);
    quick.started(0s);
    judged(quick, "++");
    CHECK(quick.next_probe(1'000'500us, kMiddle) <= 3ms);
}

TEST_CASE("health: the transition's pause is never longer than the interval, nor than it leaves beside the timeout") {
    HealthSpec quick = spec();
    quick.interval = 100ms;
    quick.timeout = 40ms;
    HealthJudge judge(quick);
    judge.started(0s);
    judged(judge, "++-");
    CHECK(judge.next_probe(1s, 0, 40ms) == 60ms);
    CHECK(judge.next_probe(1s, 0, 0ms) == 100ms);
    judged(judge, "--+");
    CHECK(judge.next_probe(1s, kMiddle) == 100ms);
    quick.timeout = 100ms;
    HealthJudge tight(quick);
    tight.started(0s);
    judged(tight, "++-");
    CHECK(tight.next_probe(1s, 0, 100ms) == 0ms);
    CHECK(tight.next_probe(1s, 0, 0ms) == 100ms);  // refused at once: no reason to hurry
}

/// A service that answers within `timeout` until it hangs, and fails now and then before.
struct Simulation {
    std::mt19937_64 dice;
    HealthSpec health;

    std::int64_t between(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(dice);
    }
    double chance() { return std::uniform_real_distribution<double>(0, 1)(dice); }

    explicit Simulation(std::uint64_t seed) : dice(seed) {
        health.probe = TcpProbe{80};
        health.interval = Millis(between(1, 4) == 1 ? between(10, 200) : between(200, 10'000));
        health.timeout = Millis(between(1, health.interval.count()));
        health.fall = static_cast<int>(between(1, 8));
        health.rise = static_cast<int>(between(1, 5));
    }

    /// How long after a hang at a random instant of its life the service is down; 0 where it was not up then.
    BootTime down_after() {
        HealthJudge judge(health);
        judge.started(0s);
        const BootTime hang = Millis(between(0, 40 * health.interval.count()));
        const double flaky = chance() < 0.5 ? 0 : chance() * 0.5;
        bool was_up = false;
        for (BootTime now{};;) {
            const Millis takes(between(0, health.timeout.count()));
            const bool answered = now + takes <= hang && chance() >= flaky;
            const BootTime came = now + (answered ? takes : health.timeout);
            if (came > hang && now <= hang) {
                was_up = judge.up();
            }
            judge.result(answered ? kGood : kBad, came);
            if (came > hang && (!was_up || !judge.up())) {
                return was_up ? came - hang : BootTime{};
            }
            now = came + judge.next_probe(came, chance(), std::chrono::ceil<Millis>(came - now));
            if (came <= hang && now > hang) {
                was_up = judge.up();
            }
        }
    }
};

TEST_CASE("health: a hung service is down within fall x interval + timeout, whatever came before") {
    int hung = 0;
    double worst = 0;
    for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
        Simulation simulation(seed);
        const HealthSpec& health = simulation.health;
        const BootTime promised = health.fall * health.interval + health.timeout;
        const BootTime took = simulation.down_after();
        CHECK_MESSAGE(took <= promised, cat("seed ", seed, ": ", took.count(), " ns instead of ", promised.count()));
        hung += took > BootTime{} ? 1 : 0;
        worst = std::max(worst, static_cast<double>(took.count()) / static_cast<double>(promised.count()));
    }
    CHECK(hung > 10'000);
    CHECK(worst > 0.8);  // the property is not true for want of trying
}

TEST_CASE(
    "health: no sequence brings a service up without `rise` successes in a row, or down without `fall` failures") {
    std::mt19937_64 dice(7);
    for (int round = 0; round < 2000; ++round) {
        HealthSpec health = spec();
        health.fall = static_cast<int>(1 + dice() % 5);
        health.rise = static_cast<int>(1 + dice() % 5);
        HealthJudge judge(health);
        judge.started(0s);
        int good = 0;
        int bad = 0;
        bool expected = false;
        for (int i = 0; i < 100; ++i) {
            const bool success = dice() % 3 != 0;
            good = success ? good + 1 : 0;
            bad = success ? 0 : bad + 1;
            expected = success ? expected || good >= health.rise : expected && bad < health.fall;
            judge.result(success ? kGood : kBad, 1s);
            REQUIRE(judge.up() == expected);
            REQUIRE(judge.next_probe(1s, 0.3) >= 0ms);
        }
    }
}

}  // namespace
}  // namespace viscum
