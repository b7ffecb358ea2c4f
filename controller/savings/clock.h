// SPDX-License-Identifier: GPL-2.0-only
// Which day it is, and whether the router's clock can know. Many routers have no clock that runs without power: they
// begin in 1970, or at the time of their newest file, until the network tells.
#pragma once

#include <cstdint>
#include <string>

#include "controller/savings/ledger.h"

namespace viscum {

struct ClockFacts {
    std::int64_t wall_s = 0;  // seconds since 1970, UTC
    bool follows = false;     // it is kept right by others, by NTP above all
    bool lasts = false;       // the kernel had it from a clock that runs without power
    BootTime since_boot{};
};

ClockFacts read_clock();

/// The day in the router's time zone (tzset(3)). Without one where the clock is before this program, or was neither
/// set right by somebody nor had ten minutes for that.
Moment moment_of(const ClockFacts& clock);

/// Of a time in the router's time zone.
Day local_day(std::int64_t wall_s);
/// How the zone is called now: "CET".
std::string zone_name(std::int64_t wall_s);

}  // namespace viscum
