// SPDX-License-Identifier: GPL-2.0-only
#include "base/wall_clock.h"

#include <doctest/doctest.h>
#include <poll.h>

using namespace viscum;
using namespace std::chrono_literals;

namespace {

bool has_news(const WallAlarm& alarm, int limit) {
    pollfd waiting{alarm.fd(), POLLIN, 0};
    return poll(&waiting, 1, limit) == 1;
}

}  // namespace

TEST_CASE("wall clock: a time of RFC 3339 is read with its offset, and written in UTC") {
    CHECK(parse_wall_time("1970-01-01T00:00:00Z") == WallTime(0s));
    CHECK(parse_wall_time("2026-12-31T23:59:00Z") == WallTime(1798761540s));
    CHECK(parse_wall_time("2026-12-31T23:59:00+01:00") == WallTime(1798761540s - 1h));
    CHECK(parse_wall_time("2026-12-31T23:59:00-05:30") == WallTime(1798761540s + 5h + 30min));
    CHECK(parse_wall_time("2028-02-29T00:00:00Z").has_value());
    for (const char* text :
         {"2026-12-31T23:59:00Z", "2000-02-29T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"}) {
        CHECK(format_wall_time(parse_wall_time(text).value_or(WallTime{})) == text);
    }
}

TEST_CASE("wall clock: what is no time, or nobody's, is none") {
    for (const char* text : {"",
                             "2026",
                             "2026-12-31",
                             "2026-12-31T23:59:00",
                             "2026-12-31 23:59:00Z",
                             "2026-12-31T23:59Z",
                             "2026-12-31T23:59:00z",
                             "2026-12-31T23:59:00.5Z",
                             "2026-12-31T23:59:00Z ",
                             "2026-13-01T00:00:00Z",
                             "2027-02-29T00:00:00Z",
                             "2026-12-31T24:00:00Z",
                             "2026-12-31T23:60:00Z",
                             "2026-12-31T23:59:60Z",
                             "2026-12-31T23:59:00+1:00",
                             "2026-12-31T23:59:00+24:00",
                             "2026-12-31T23:59:00+01:00Z",
                             "0000-01-01T00:00:00Z",
                             "2026-00-01T00:00:00Z",
                             "2026-01-00T00:00:00Z",
                             "+026-01-01T00:00:00Z",
                             "99999-01-01T00:00:00Z",
                             "1970-01-01T00:00:00+00:01",
                             "9999-12-31T23:59:00-00:01"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_wall_time(text).has_value());
    }
}

TEST_CASE("wall clock: an alarm tells of a moment that has passed, and is silent before") {
    auto alarm = WallAlarm::open();
    REQUIRE(alarm);
    REQUIRE(alarm->set(WallTime::max()));
    CHECK_FALSE(has_news(*alarm, 0));
    REQUIRE(alarm->set(wall_now() + 24h));
    CHECK_FALSE(has_news(*alarm, 0));
    REQUIRE(alarm->set(wall_now() - 1s));
    CHECK(has_news(*alarm, 10'000));
    alarm->take();
    CHECK_FALSE(has_news(*alarm, 0));
    REQUIRE(alarm->set(WallTime{}));
    CHECK(has_news(*alarm, 10'000));
}
