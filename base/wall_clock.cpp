// SPDX-License-Identifier: GPL-2.0-only
#include "base/wall_clock.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>

#include "base/text.h"

namespace viscum {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr WallTime kYear10000 = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1);

/// Takes `digits` digits off the front of `text`, of a number from `min` to `max`.
std::optional<int> take_number(std::string_view& text, std::size_t digits, int min, int max) {
    int number = 0;
    if (text.size() < digits) {
        return std::nullopt;
    }
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return number < min || number > max ? std::nullopt : std::optional(number);
}

bool take(std::string_view& text, char sign) {
    const bool there = !text.empty() && text.front() == sign;
    text.remove_prefix(there ? 1 : 0);
    return there;
}

std::optional<WallTime> take_date(std::string_view& text) {
    const auto year = take_number(text, 4, 1970, 9999);
    const bool first = take(text, '-');
    const auto month = take_number(text, 2, 1, 12);
    const bool second = take(text, '-');
    const auto day = take_number(text, 2, 1, 31);
    if (!year || !first || !month || !second || !day) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    return date.ok() ? std::optional<WallTime>(std::chrono::sys_days(date)) : std::nullopt;
}

/// hh:mm
std::optional<seconds> take_minutes(std::string_view& text) {
    const auto hour = take_number(text, 2, 0, 23);
    const bool colon = take(text, ':');
    const auto minute = take_number(text, 2, 0, 59);
    return hour && colon && minute ? std::optional<seconds>(hours(*hour) + minutes(*minute)) : std::nullopt;
}

/// What is to be taken off the time for UTC.
std::optional<seconds> take_offset(std::string_view& text) {
    if (take(text, 'Z')) {
        return seconds(0);
    }
    const bool west = take(text, '-');
    if (!west && !take(text, '+')) {
        return std::nullopt;
    }
    const auto offset = take_minutes(text);
    return offset && west ? std::optional(-*offset) : offset;
}

}  // namespace

WallTime wall_now() {
    return std::chrono::floor<seconds>(std::chrono::system_clock::now());
}

std::optional<WallTime> parse_wall_time(std::string_view text) {
    const auto date = take_date(text);
    const bool between = date && take(text, 'T');
    const auto time = between ? take_minutes(text) : std::nullopt;
    const bool colon = time && take(text, ':');
    const auto second = colon ? take_number(text, 2, 0, 59) : std::nullopt;
    const auto offset = second ? take_offset(text) : std::nullopt;
    if (!offset || !text.empty()) {
        return std::nullopt;
    }
    const WallTime utc = *date + *time + seconds(*second) - *offset;
    return utc >= WallTime{} && utc < kYear10000 ? std::optional(utc) : std::nullopt;
}

std::string format_wall_time(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    char text[48];
    const int length = std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                     static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                                     static_cast<int>(clock.seconds().count()));
    return {text, static_cast<std::size_t>(length)};
}

Result<WallAlarm> WallAlarm::open() {
    UniqueFd timer(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer) {
        return errno_error("cannot make a timer of the time of day");
    }
    return WallAlarm(std::move(timer));
}

Result<bool> WallAlarm::set(WallTime when) {
    // One that is not armed hears nothing of the clock; the kernel's own end of time is beyond 2200.
    constexpr std::int64_t kNever = std::min<std::int64_t>(std::numeric_limits<time_t>::max(), 7'258'118'400);
    itimerspec value{};
    value.it_value.tv_sec = static_cast<time_t>(std::clamp<std::int64_t>(when.time_since_epoch().count(), 1, kNever));
    bool was_set = false;
    // It says once that the clock was set meanwhile, with the timer as it is to be.
    while (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &value, nullptr) != 0) {
        if (errno != ECANCELED || was_set) {
            return errno_error("cannot set a timer of the time of day");
        }
        was_set = true;
    }
    return was_set;
}

void WallAlarm::take() const {
    std::uint64_t times = 0;
    // ECANCELED is news, too: the clock was set.
    [[maybe_unused]] const auto got = read(timer_.get(), &times, sizeof times);
}

}  // namespace viscum
