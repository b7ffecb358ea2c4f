// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/backoff.h"

#include <doctest/doctest.h>

#include <vector>

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr double kMiddle = 0.5;  // no jitter

RestartSpec spec(Millis backoff, Millis max) {
    return {RestartPolicy::always, backoff, max};
}

TEST_CASE("backoff: the pause doubles up to its limit") {
    Backoff backoff(spec(200ms, 3s));
    for (const Millis expected : {200ms, 400ms, 800ms, 1600ms, 3000ms, 3000ms}) {
        CHECK(backoff.next(1s, kMiddle) == expected);
    }
    CHECK(backoff.restarts() == 6);
}

TEST_CASE("backoff: a run of 10 s starts anew") {
    Backoff backoff(spec(200ms, 30s));
    backoff.next(0ms, kMiddle);
    CHECK(backoff.next(9'999ms, kMiddle) == 400ms);
    CHECK(backoff.next(10s, kMiddle) == 200ms);
    CHECK(backoff.next(0ms, kMiddle) == 400ms);
    CHECK(backoff.restarts() == 4);
}

TEST_CASE("backoff: the dice spread the pause by a tenth") {
    for (int i = 0; i < 1000; ++i) {
        Backoff backoff(spec(1000ms, 30s));
        const Millis pause = backoff.next(0ms, i / 1000.0);
        CHECK(pause >= 900ms);
        CHECK(pause <= 1100ms);
    }
    CHECK(Backoff(spec(1000ms, 30s)).next(0ms, 0) == 900ms);
    CHECK(Backoff(spec(1000ms, 30s)).next(0ms, 0.999) == 1099ms);
}

TEST_CASE("backoff: the spread does not feed on itself") {
    Backoff backoff(spec(100ms, 30s));
    backoff.next(0ms, 0);
    backoff.next(0ms, 0);
    CHECK(backoff.next(0ms, kMiddle) == 400ms);
}

TEST_CASE("backoff: a first pause above the limit is the limit") {
    CHECK(Backoff(spec(10s, 2s)).next(0ms, kMiddle) == 2s);
}

TEST_CASE("backoff: the longest pauses that a file may ask for do not overflow") {
    Backoff backoff(spec(366 * 24h, 366 * 24h));
    for (int i = 0; i < 100; ++i) {
        CHECK(backoff.next(0ms, kMiddle) == 366 * 24h);
    }
}

/// Admits at 1000 s and every 400 s from there, each time for `up`.
std::vector<Millis> falls(HoldDown& hold, const std::vector<Millis>& up) {
    std::vector<Millis> held;
    BootTime now = 1000s;
    for (const Millis time : up) {
        hold.admitted(now);
        held.push_back(hold.fell(now + time));
        now += 400s;
    }
    return held;
}

TEST_CASE("backoff: the third fall in a row is held down, and longer each time") {
    HoldDown hold;
    CHECK(falls(hold, std::vector<Millis>(11, 9'999ms)) ==
          std::vector<Millis>{0s, 0s, 5s, 10s, 20s, 40s, 80s, 160s, 300s, 300s, 300s});
}

TEST_CASE("backoff: a service that stays up for 10 s does not flap") {
    HoldDown hold;
    CHECK(falls(hold, std::vector<Millis>(5, 10s)) == std::vector<Millis>(5, 0s));
    CHECK(hold.until() == BootTime{});
}

TEST_CASE("backoff: only 60 s up forget the falls before") {
    HoldDown hold;
    CHECK(falls(hold, {1s, 1s, 59s, 1s, 60s, 1s, 1s, 1s}) == std::vector<Millis>{0s, 0s, 0s, 5s, 0s, 0s, 0s, 5s});
}

TEST_CASE("backoff: a hold says until when") {
    HoldDown hold;
    falls(hold, {1s, 1s});
    CHECK(hold.until() == BootTime{});
    hold.admitted(5000s);
    CHECK(hold.fell(5001s) == 5s);
    CHECK(hold.until() == 5006s);
}

TEST_CASE("backoff: a hundred thousand falls do not overflow") {
    HoldDown hold;
    for (int i = 0; i < 100'000; ++i) {
        hold.admitted(1s);
        CHECK(hold.fell(2s) <= 300s);
    }
    CHECK(hold.until() == 302s);
}

}  // namespace
}  // namespace viscum
