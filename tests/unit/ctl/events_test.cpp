// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/events.h"

#include "tests/unit/ctl/fixture.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

Event make(const std::string& service, const std::string& text) {
    Event event;
    event.time_ms = 1'767'323'045'678;
    event.kind = "unhealthy";
    event.service = service;
    event.text = text;
    return event;
}

struct EventsDesk : Desk {
    Session session(bool json = false) {
        auto made = Desk::session(json);
        made.events = dir + "/events";
        return made;
    }
};

}  // namespace

TEST_CASE("events: both generations are read, and what is torn or too long is passed over") {
    EventsDesk desk;
    desk.write("events.1", event_line(make("plates", "old")) + "{\"time\":\"2026");
    desk.write("events", event_line(make("dns", "other")) + std::string("\0\0\n", 3) + std::string(9'000, 'x') + "\n" +
                             event_line(make("plates", "new")) + "{\"torn");
    CHECK(events(desk.session(), {}) == 0);
    CHECK(desk.take(desk.out) ==
          "2026-01-02 03:04:05Z  plates  old\n2026-01-02 03:04:05Z  dns  other\n2026-01-02 03:04:05Z  plates  new\n");
    CHECK(events(desk.session(), {.service = "plates", .lines = 1}) == 0);
    CHECK(desk.take(desk.out) == "2026-01-02 03:04:05Z  plates  new\n");
    CHECK(events(desk.session(), {.since = 1s}) == 0);
    CHECK(desk.take(desk.out).empty());
    CHECK(desk.take(desk.err) == "no events\n");
    CHECK(events(desk.session(true), {.service = "dns"}) == 0);
    CHECK(desk.take(desk.out) == event_line(make("dns", "other")));
}

TEST_CASE("events: no file is no error, and a name that is none is one") {
    EventsDesk desk;
    CHECK(events(desk.session(true), {}) == 0);
    CHECK(desk.take(desk.out).empty());
    CHECK(events(desk.session(), {.service = "../x"}) == 6);
}

TEST_CASE("events: no byte of a text reaches the terminal as a command") {
    Event event = make("pl\x1b[31mates", "a\x1b]0;b\x07\nc");
    event.times = 3;
    event.since_ms = 1'767'300'000'000;
    CHECK(render_event(event, false) ==
          "2026-01-02 03:04:05Z  pl?[31mates  a?]0;b? c (3 times since 2026-01-01 20:40:00Z)");
    CHECK(render_event(make("", "x"), true) == "2026-01-02 03:04:05Z  \x1b[1m-\x1b[0m  \x1b[31mx\x1b[0m");
}
