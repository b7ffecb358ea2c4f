// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "controller/supervise/health.h"

namespace viscum {
namespace {

constexpr Millis kStarting{50};
constexpr Millis kEager{5};
constexpr Millis kEagerTime{250};
constexpr Millis kTransition{500};
constexpr Millis kDown{5'000};

/// Each probe alone would wake a processor up, viscumd's and the prober's. So those of services with the
/// same interval meet on a grid of a quarter of it, which a service reaches in at most three steps of a tenth less than
/// its interval.
BootTime next_on_grid(BootTime now, Millis interval) {
    const BootTime latest = now + interval;
    const BootTime on_grid = latest - latest % std::max<BootTime>(interval / 4, Millis(1));
    return std::max(on_grid, latest - BootTime(interval) / 10);
}

Millis scale(Millis pause, double factor) {
    return Millis(static_cast<Millis::rep>(static_cast<double>(pause.count()) * factor));
}

}  // namespace

void HealthJudge::started(BootTime now) {
    started_ = now;
    up_ = false;
    starting_ = true;
    streak_ = 0;
    refused_ = false;
    reason_.clear();
}

void HealthJudge::adopted(BootTime now, bool healthy) {
    started(now);
    up_ = healthy;
    starting_ = false;
    streak_ = healthy ? spec_.rise : -spec_.fall;
}

void HealthJudge::result(const ProbeResult& result, BootTime) {
    reason_ = result.healthy ? "" : result.reason;
    if (!result.asked) {
        return;
    }
    refused_ = result.refused;
    if (result.healthy) {
        streak_ = std::min(std::max(streak_, 0) + 1, spec_.rise);
        if (streak_ >= spec_.rise) {
            up_ = true;
            starting_ = false;
        }
    } else {
        streak_ = std::max(std::min(streak_, 0) - 1, -spec_.fall);
        if (-streak_ >= spec_.fall) {
            up_ = false;
        }
    }
}

std::chrono::nanoseconds HealthJudge::next_probe(BootTime now, double dice, Millis took) const {
    if (up_ && streak_ > 0) {
        return next_on_grid(now, spec_.interval) - now;
    }
    if (up_) {
        // A probe that times out and the pause after it fit into one interval: so the promise holds.
        const Millis period = scale(std::min(kTransition, spec_.interval), 1 - 0.1 * dice);
        return std::max(period - took, Millis(0));
    }
    if (starting_ && !start_timed_out(now)) {
        const bool eager = streak_ > 0 || (refused_ && now - started_ < kEagerTime);
        return eager ? kEager : kStarting;
    }
    return scale(streak_ > 0 ? std::min(kTransition, spec_.interval) : kDown, 0.9 + 0.2 * dice);
}

}  // namespace viscum
