// SPDX-License-Identifier: GPL-2.0-only
// The clock is set by a billionth of a second, and back.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/timex.h>

#include "base/wall_clock.h"

using namespace viscum;

namespace {

/// Forwards, or back.
bool set_clock(bool forwards) {
    timex step{};
    step.modes = ADJ_SETOFFSET | ADJ_NANO;
    step.time.tv_sec = forwards ? 0 : -1;
    step.time.tv_usec = forwards ? 1 : 999'999'999;
    return adjtimex(&step) >= 0;
}

}  // namespace

TEST_CASE("wall clock: an alarm tells at once that somebody sets the clock, and that somebody did") {
    auto alarm = WallAlarm::open();
    REQUIRE(alarm);
    REQUIRE(alarm->set(WallTime::max()));
    if (!set_clock(true)) {
        MESSAGE("SKIPPED: the clock may not be set here");
        return;
    }
    pollfd waiting{alarm->fd(), POLLIN, 0};
    CHECK(poll(&waiting, 1, 10'000) == 1);
    alarm->take();
    CHECK(poll(&waiting, 1, 0) == 0);

    // It goes on to watch without being set anew.
    CHECK(set_clock(false));
    CHECK(poll(&waiting, 1, 10'000) == 1);
    alarm->take();

    const auto quiet = alarm->set(wall_now() + std::chrono::hours(1));
    REQUIRE(quiet);
    CHECK(set_clock(true));
    const auto was_set = alarm->set(WallTime::max());
    REQUIRE(was_set);
    CHECK(*was_set);
    CHECK(set_clock(false));
    CHECK(poll(&waiting, 1, 10'000) == 1);
}
