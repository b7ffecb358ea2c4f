// SPDX-License-Identifier: GPL-2.0-only
// The time of day. It may be set at any moment, forwards and backwards: on a router without a battery it starts in the
// past. What only has to last goes by BootTime.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// In whole seconds of UTC.
using WallTime = std::chrono::sys_seconds;

WallTime wall_now();

/// "2026-12-31T23:59:00Z", or with an offset in place of the Z (RFC 3339); nullopt for any other text, one without
/// either or with parts of a second too.
std::optional<WallTime> parse_wall_time(std::string_view text);
/// In UTC, as parse_wall_time reads it.
std::string format_wall_time(WallTime time);

/// Tells when the time of day reaches a moment, and at once when somebody sets it. A timer of the kernel's: it wakes
/// nobody up before.
class WallAlarm {
public:
    static Result<WallAlarm> open();

    /// Readable when there is news.
    [[nodiscard]] int fd() const { return timer_.get(); }
    /// Takes the place of what was set before; WallTime::max(): only when somebody sets the clock. Returns whether
    /// somebody did since the last call: what `when` was made from is old then.
    Result<bool> set(WallTime when);
    /// Takes the news off the descriptor.
    void take() const;

private:
    explicit WallAlarm(UniqueFd timer) : timer_(std::move(timer)) {}
    UniqueFd timer_;
};

}  // namespace viscum
