// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/clock.h"

#include <sys/timex.h>
#include <unistd.h>

#include <ctime>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::int64_t kThisProgram = 1'767'225'600;  // 2026-01-01: no clock that is right says less
constexpr std::chrono::minutes kPatience{10};
constexpr const char* kClocks = "/sys/class/rtc";
constexpr const char* kTimesyncd = "/run/systemd/timesync/synchronized";
constexpr std::size_t kFlagLimit = 64;

/// Where adjtimex(2) is not to be had, systemd-timesyncd leaves a word.
bool follows_others() {
    timex clock{};
    const int state = adjtimex(&clock);
    return state < 0 ? access(kTimesyncd, F_OK) == 0 : state != TIME_ERROR;
}

/// It does not change while the machine runs.
bool had_clock() {
    static const bool found = [] {
        const auto clocks = list_directory(kClocks);
        for (const auto& clock : clocks ? *clocks : std::vector<std::string>()) {
            const auto flag = read_file(cat(kClocks, '/', clock, "/hctosys"), kFlagLimit);
            if (flag && flag->starts_with('1')) {
                return true;
            }
        }
        return false;
    }();
    return found;
}

}  // namespace

ClockFacts read_clock() {
    timespec wall{};
    clock_gettime(CLOCK_REALTIME, &wall);
    return {wall.tv_sec, follows_others(), had_clock(), boot_now()};
}

Moment moment_of(const ClockFacts& clock) {
    const bool known = clock.follows || clock.lasts || clock.since_boot >= kPatience;
    const bool possible = clock.wall_s >= kThisProgram;
    return {clock.since_boot, known && possible ? local_day(clock.wall_s) : kUndated, clock.follows && possible};
}

Day local_day(std::int64_t wall_s) {
    tzset();
    tm local{};
    const auto time = static_cast<time_t>(wall_s);
    if (localtime_r(&time, &local) == nullptr) {
        return kUndated;
    }
    const Day day = day_of(static_cast<std::int64_t>(local.tm_year) + 1900, static_cast<unsigned>(local.tm_mon) + 1,
                           static_cast<unsigned>(local.tm_mday));
    return day > kUndated && day <= kLastDay ? day : kUndated;
}

std::string zone_name(std::int64_t wall_s) {
    tm local{};
    const auto time = static_cast<time_t>(wall_s);
    return localtime_r(&time, &local) != nullptr && local.tm_zone != nullptr ? local.tm_zone : "";
}

}  // namespace viscum
