// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/backoff.h"

#include <algorithm>

namespace viscum {
namespace {

constexpr std::chrono::seconds kGoodRun{10};
constexpr std::chrono::seconds kFlap{10};
constexpr std::chrono::seconds kForget{60};
constexpr int kForgiven = 2;
constexpr std::chrono::seconds kFirstHold{5};
constexpr std::chrono::seconds kLongestHold{300};
constexpr int kMostDoublings = 6;  // 5 s << 6 is past the longest

}  // namespace

Millis Backoff::next(Millis ran, double dice) {
    ++restarts_;
    const bool anew = ran >= kGoodRun || current_ == Millis(0);
    current_ = std::min(anew ? spec_.backoff : current_ * 2, spec_.backoff_max);
    return Millis(static_cast<Millis::rep>(static_cast<double>(current_.count()) * (0.9 + 0.2 * dice)));
}

Millis HoldDown::fell(BootTime now) {
    const BootTime up = now - admitted_;
    if (up >= kForget) {
        falls_ = 0;
    }
    if (up >= kFlap) {
        return Millis(0);
    }
    falls_ = std::min(falls_ + 1, kForgiven + 1 + kMostDoublings);
    if (falls_ <= kForgiven) {
        return Millis(0);
    }
    const auto hold = std::min(kFirstHold * (1 << (falls_ - kForgiven - 1)), kLongestHold);
    until_ = now + hold;
    return hold;
}

}  // namespace viscum
