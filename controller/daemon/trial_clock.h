// SPDX-License-Identifier: GPL-2.0-only
// When a trial ends: a time of the boot clock, which no change of the date touches, of one boot of the machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/event_loop.h"
#include "controller/store/store.h"

namespace viscum {

/// After which what went wrong at the end of a trial is tried again.
constexpr Millis kTrialRetry{10'000};

/// Of the clock that a trial's end is told in; it starts anew with the machine.
const std::string& boot_id();

/// For VersionTrial::until_ms: this long from now.
std::uint64_t end_after(Millis time);

inline Millis until(const VersionTrial& trial) {
    return Millis(static_cast<Millis::rep>(trial.until_ms));
}

/// Its version was not confirmed in time, and the version before has yet to be put back.
bool is_over(const VersionTrial& trial);

inline bool is_on(const VersionTrial& trial) {
    return trial.until_ms != 0 && !is_over(trial);
}

}  // namespace viscum
