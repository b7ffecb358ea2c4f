// SPDX-License-Identifier: GPL-2.0-only
#include <cstdlib>

#include "base/text.h"
#include "controller/ctl/paint.h"
#include "controller/ctl/watch.h"
#include "controller/ctl/watch_frame.h"
#include "tests/unit/ctl/fixture.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

ServiceReport service(const std::string& name, std::uint64_t flows = 0) {
    ServiceReport out;
    out.name = name;
    out.state = "up";
    out.health = "healthy";
    out.admission = "serve";
    out.probe_us = 1'230;
    ClaimReport claim;
    claim.flows = flows;
    claim.flows_cloud = flows / 10;
    claim.bytes_in = flows * 100;
    claim.bytes_out = flows * 1'000;
    out.claims.push_back(claim);
    return out;
}

DaemonReport report(std::size_t count, std::uint64_t flows = 0) {
    DaemonReport out;
    out.instance = "viscum";
    out.version = "0.1.0";
    out.grade = "socket";
    out.lease_ms_left = 29'400;
    for (std::size_t i = 0; i < count; ++i) {
        out.services.push_back(service(cat("plates", i), flows));
    }
    return out;
}

Event event(const std::string& text) {
    Event out;
    out.time_ms = 1'767'323'045'678;
    out.kind = "exited";
    out.service = "plates0";
    out.text = text;
    return out;
}

WatchView view(std::size_t columns, std::size_t rows, std::size_t services, std::size_t events) {
    WatchView out;
    out.columns = columns;
    out.rows = rows;
    out.before = report(services);
    out.now = report(services, 500);
    out.between = 2s;
    for (std::size_t i = 0; i < events; ++i) {
        out.events.push_back(event(cat("event ", i, ' ', std::string(300, 'x'))));
    }
    return out;
}

}  // namespace

TEST_CASE("watch: a frame of 80x24") {
    const auto lines = watch_lines(view(80, 24, 3, 2));
    REQUIRE(lines.size() == 24);
    CHECK(lines[0] == "viscum: 3 of 3 served, grade socket, lease 29s, viscumd 0.1.0");
    CHECK(lines[1] == "NAME                  HEALTH     LOCAL/s  CLOUD/s   BYTES/s  STATE         PROBE");
    CHECK(lines[2] == "plates0               healthy        250       25    275 kB  up           1.2 ms");
    CHECK(lines[5].empty());
    CHECK(lines[20] == "EVENTS");
    CHECK(lines[21].starts_with("03:04:05  plates0  event 0 xxx"));
    CHECK(lines[22].starts_with("03:04:05  plates0  event 1 xxx"));
    CHECK(lines[23] == "q quits");
}

TEST_CASE("watch: a narrow frame leaves columns out, and a wide one shows more events") {
    const auto narrow = watch_lines(view(40, 10, 9, 9));
    REQUIRE(narrow.size() == 10);
    CHECK(narrow[1] == "NAME         HEALTH     LOCAL/s  CLOUD/s");
    CHECK(narrow[2] == "plates0      healthy        250       25");
    CHECK(narrow[6] == "EVENTS");
    CHECK(narrow[9] == "q quits  j k scroll  1-4 of 9");
    const auto wide = watch_lines(view(200, 60, 9, 64));
    REQUIRE(wide.size() == 60);
    CHECK(wide[39] == "EVENTS");
    CHECK(wide[58].starts_with("03:04:05  plates0  event 63 "));
}

TEST_CASE("watch: no line is wider than the terminal, whatever its size") {
    for (std::size_t columns = 1; columns <= 120; columns += 7) {
        for (std::size_t rows = 1; rows <= 30; ++rows) {
            auto shown = view(columns, rows, rows * 2, rows);
            shown.top = rows;
            const auto lines = watch_lines(shown);
            CHECK(lines.size() == rows);
            for (const auto& line : lines) {
                CHECK(width(line) <= columns);
            }
        }
    }
}

TEST_CASE("watch: many services scroll, and the last page is full") {
    auto shown = view(80, 24, 100, 0);
    CHECK(watch_page(shown) == 21);
    shown.top = 5;
    CHECK(watch_lines(shown)[2].starts_with("plates5 "));
    CHECK(watch_lines(shown)[23] == "q quits  j k scroll  6-26 of 100");
    shown.top = 1'000;
    CHECK(watch_top(shown) == 79);
    CHECK(watch_lines(shown)[22].starts_with("plates99 "));
}

TEST_CASE("watch: what cannot be told yet, and what is set back, is not told") {
    auto shown = view(80, 24, 1, 0);
    shown.before.reset();
    CHECK(watch_lines(shown)[2].starts_with("plates0               healthy          -        -         -  up"));
    shown = view(80, 24, 1, 0);
    std::swap(shown.before, shown.now);
    CHECK(watch_lines(shown)[2].starts_with("plates0               healthy          -        -         -  up"));
    WatchView none;
    none.problem = "no viscumd answers";
    CHECK(watch_lines(none)[0] == "no viscumd answers");
    none.problem.clear();
    none.now = report(0);
    CHECK(watch_lines(none)[2] == "no services");
}

TEST_CASE("watch: no byte of a text moves the terminal, and colours are asked for") {
    auto shown = view(80, 24, 1, 1);
    shown.now->services[0].name = "a\x1b[31mb\nc";
    shown.now->services[0].health = "\x07\x9b";
    shown.events[0].text = "x\x1b]0;title\x07\r\n\xc2\x9b";
    shown.problem = "why\x1b[2J";
    for (const auto& line : watch_lines(shown)) {
        CHECK(line.find_first_of("\x1b\x07\r\n") == std::string::npos);
        CHECK(line.find("\xc2\x9b") == std::string::npos);
    }
    shown = view(80, 24, 1, 0);
    CHECK(join(watch_lines(shown), "").find('\x1b') == std::string::npos);
    shown.colour = true;
    CHECK(watch_lines(shown)[2].find("\x1b[32mhealthy\x1b[0m") != std::string::npos);
}

TEST_CASE("watch: a frame writes over what was there") {
    CHECK(watch_frame({"one", "two"}) == "\x1b[H\x1b[Kone\r\n\x1b[Ktwo");
}

TEST_CASE("watch: keys, also those that come in parts") {
    std::string typed = "j\x1b[B\x1b[Ak?\x1b[";
    CHECK(watch_keys(typed) == std::vector{WatchKey::down, WatchKey::down, WatchKey::up, WatchKey::up});
    CHECK(typed == "\x1b[");
    typed += "6~ gG\x1b[Zq";
    CHECK(watch_keys(typed) ==
          std::vector{WatchKey::page_down, WatchKey::page_down, WatchKey::first, WatchKey::last, WatchKey::quit});
    CHECK(typed.empty());
}

TEST_CASE("watch: with --json it says where else to look") {
    Desk desk;
    CHECK(watch(desk.session(true)) == 2);
    CHECK(desk.take(desk.out).find("watch needs a terminal") != std::string::npos);
}
