// SPDX-License-Identifier: GPL-2.0-only
// When to start a crashed service again, and when to trust a flapping one. Pure: the clock and the dice are given.
#pragma once

#include "base/event_loop.h"
#include "controller/spec/service_spec.h"

namespace viscum {

/// Doubles from `backoff` to `backoff_max`; a run that was up for 10 s starts anew at `backoff`.
class Backoff {
public:
    explicit Backoff(const RestartSpec& spec) : spec_(spec) {}
    /// The pause before the next start. `ran` is how long the last run lasted; `dice` is in [0, 1) and spreads the
    /// pause by ±10 %.
    Millis next(Millis ran, double dice);
    [[nodiscard]] int restarts() const { return restarts_; }

private:
    RestartSpec spec_;
    Millis current_{0};
    int restarts_ = 0;  // since the service was last deployed
};

/// A service that falls within 10 s of its admission flaps. The first two falls in a row are forgiven (a crash is
/// answered by a restart); from the third on it is held down for 5 s, doubling to 300 s. 60 s up forget all.
class HoldDown {
public:
    void admitted(BootTime now) { admitted_ = now; }
    /// Called when health or a crash takes the admission away. Returns how long it is to be held down, 0 for not at
    /// all.
    Millis fell(BootTime now);
    [[nodiscard]] BootTime until() const { return until_; }

private:
    BootTime admitted_{};
    BootTime until_{};
    int falls_ = 0;
};

}  // namespace viscum
