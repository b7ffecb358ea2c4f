// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/clock.h"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace viscum;
using namespace std::chrono_literals;

namespace {

/// A time zone while it lives.
class Zone {
public:
    explicit Zone(const char* name) { setenv("TZ", name, 1); }
    ~Zone() { unsetenv("TZ"); }
    Zone(const Zone&) = delete;
    Zone& operator=(const Zone&) = delete;
};

// The rules of Berlin, as /etc/TZ of a router has them: no file of zones is needed.
constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";
constexpr std::int64_t kNoon = 1'795'431'600;  // 2026-11-23 11:00 UTC

}  // namespace

TEST_CASE("savings: days have dates") {
    CHECK(day_text(20'780) == "2026-11-23");
    CHECK(day_text(kUndated) == "");
    CHECK(day_text(day_of(2028, 2, 29)) == "2028-02-29");
    CHECK(day_text(day_of(2000, 12, 31) + 1) == "2001-01-01");
    CHECK(day_text(kLastDay) == "9999-12-31");
    for (Day day = 1; day < 60'000; ++day) {
        const std::string text = day_text(day);
        CAPTURE(text);
        CHECK(day_of(std::stoi(text.substr(0, 4)), static_cast<unsigned>(std::stoi(text.substr(5, 2))),
                     static_cast<unsigned>(std::stoi(text.substr(8, 2)))) == day);
    }
}

TEST_CASE("savings: a day is the router's, and may have 23 or 25 hours") {
    const Zone zone(kBerlin);
    CHECK(day_text(local_day(kNoon)) == "2026-11-23");
    CHECK(day_text(local_day(1'795'474'799)) == "2026-11-23");  // 23:59:59
    CHECK(day_text(local_day(1'795'474'800)) == "2026-11-24");
    CHECK(zone_name(kNoon) == "CET");
    const auto hours_of = [](std::int64_t from, const std::string& day) {
        int hours = 0;
        for (std::int64_t hour = from - 48 * 3'600; hour < from + 48 * 3'600; hour += 3'600) {
            hours += day_text(local_day(hour)) == day ? 1 : 0;
        }
        return hours;
    };
    CHECK(hours_of(1'774'742'400, "2026-03-29") == 23);
    CHECK(hours_of(1'792'886'400, "2026-10-25") == 25);
    CHECK(hours_of(kNoon, "2026-11-23") == 24);
}

TEST_CASE("savings: another time zone counts at once") {
    {
        const Zone zone("UTC0");
        CHECK(day_text(local_day(1'795'474'800)) == "2026-11-23");
    }
    const Zone zone("NZDT-13");
    CHECK(day_text(local_day(kNoon)) == "2026-11-24");
}

TEST_CASE("savings: no day is told of a clock that cannot know it") {
    const Zone zone("UTC0");
    const auto day_at = [](std::int64_t wall_s, bool follows, bool lasts, BootTime since_boot) {
        return day_text(moment_of({wall_s, follows, lasts, since_boot}).day);
    };
    CHECK(day_at(0, false, false, 20s) == "");
    CHECK(day_at(0, false, false, 48h) == "");  // 1970
    CHECK(day_at(0, true, true, 48h) == "");
    CHECK(day_at(1'735'689'600, true, false, 48h) == "");  // 2025: before this program
    CHECK(day_at(kNoon, false, false, 20s) == "");         // the time of the newest file, perhaps
    CHECK(day_at(kNoon, true, false, 20s) == "2026-11-23");
    CHECK(day_at(kNoon, false, true, 20s) == "2026-11-23");
    CHECK(day_at(kNoon, false, false, 10min) == "2026-11-23");
    CHECK(moment_of({kNoon, true, false, 20s}).sure);
    CHECK(!moment_of({kNoon, false, true, 20s}).sure);
    CHECK(day_at(INT64_MAX, true, true, 1h) == "");
}

TEST_CASE("savings: the clock of this machine is read") {
    const ClockFacts clock = read_clock();
    CHECK(clock.wall_s > 0);
    CHECK(clock.since_boot > BootTime{});
}
