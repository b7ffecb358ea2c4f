// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/ledger.h"

#include <doctest/doctest.h>

#include "controller/savings/ledger_file.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

constexpr Day kMonday = 20'780;  // 2026-11-23

Moment at(BootTime time, Day day = kMonday, bool sure = true) {
    return {time, day, sure};
}

ServiceSample plates(std::uint64_t flows, std::uint64_t bytes = 0, const std::string& claim = "203.0.113.10:80/tcp") {
    ServiceSample out;
    out.name = "plates";
    out.claims[claim] = {flows, bytes, 10 * bytes, 0, {}};
    return out;
}

/// All days of a service.
DayFigures total(const Ledger& ledger, const std::string& service = "plates") {
    DayFigures sum;
    for (const auto& [key, figures] : ledger.state().rows) {
        if (key.first == service) {
            sum.add(figures);
        }
    }
    return sum;
}

DayFigures on(const Ledger& ledger, Day day) {
    const auto found = ledger.state().rows.find({"plates", day});
    return found == ledger.state().rows.end() ? DayFigures{} : found->second;
}

/// One that knows its past: counting begins at 0.
Ledger known(LedgerState state = {}, const std::string& boot = "one") {
    Ledger ledger(boot);
    state.boot = state.boot.empty() ? boot : state.boot;
    ledger.adopt(std::move(state));
    return ledger;
}

/// As the next viscumd finds it.
Ledger restarted(const Ledger& before, const std::string& boot = "one") {
    auto state = decode_ledger(encode_ledger(before.state()));
    REQUIRE(state);
    return known(*std::move(state), boot);
}

}  // namespace

TEST_CASE("savings: what counters grow by is counted") {
    Ledger ledger = known();
    ledger.sample({plates(3, 100)}, at(1s), true);
    ledger.sample({plates(5, 150)}, at(2s), true);
    CHECK(total(ledger).flows == 5);
    CHECK(total(ledger).bytes_in == 150);
    CHECK(total(ledger).bytes_out == 1'500);
    CHECK(ledger.counted());
}

TEST_CASE("savings: without a past counting begins with what is there, and at 0 for what comes") {
    Ledger ledger("one");
    ledger.sample({plates(1'000)}, at(1s), true);
    CHECK(total(ledger).flows == 0);
    ledger.sample({plates(1'002)}, at(2s), true);
    CHECK(total(ledger).flows == 2);
    ServiceSample other = plates(7);
    other.name = "other";
    ledger.sample({plates(1'002), other}, at(3s), true);
    CHECK(total(ledger, "other").flows == 7);
}

TEST_CASE("savings: a restart of viscumd counts what was served meanwhile, once") {
    Ledger ledger = known();
    ledger.sample({plates(10)}, at(1s), true);
    Ledger next = restarted(ledger);
    next.sample({plates(14)}, at(2s), true);
    CHECK(total(next).flows == 14);
    next.sample({plates(14)}, at(3s), true);
    CHECK(total(next).flows == 14);
    // A kill, after which the file is an old one: the counters know what it does not.
    Ledger after_kill = restarted(ledger);
    after_kill.sample({plates(20)}, at(4s), true);
    CHECK(total(after_kill).flows == 20);
}

TEST_CASE("savings: after a restart of the machine counters begin at 0, whatever they have reached") {
    Ledger ledger = known();
    ledger.sample({plates(10)}, at(1s), true);
    Ledger next = restarted(ledger, "two");
    next.sample({plates(25)}, at(1s), true);
    CHECK(total(next).flows == 35);
    CHECK(next.state().boot == "two");
}

TEST_CASE("savings: a counter that is less than it was began anew, with all of its claim's") {
    Ledger ledger = known();
    ledger.sample({plates(10, 1'000)}, at(1s), true);
    ledger.sample({plates(2, 5'000)}, at(2s), true);  // the bytes have grown past what they were
    CHECK(total(ledger).flows == 12);
    CHECK(total(ledger).bytes_in == 6'000);
}

TEST_CASE("savings: a sum of counters that becomes less is no beginning") {
    Ledger ledger = known();
    ServiceSample sample = plates(0, 1'000);
    sample.sums = true;
    ledger.sample({sample}, at(1s), true);
    sample.claims.begin()->second.bytes_in = 600;  // of two devices one is gone
    ledger.sample({sample}, at(2s), true);
    CHECK(total(ledger).bytes_in == 1'000);
    sample.claims.begin()->second.bytes_in = 650;
    ledger.sample({sample}, at(3s), true);
    CHECK(total(ledger).bytes_in == 1'050);
}

TEST_CASE("savings: a claim that is given up and taken again counts from 0, and its end is to be written") {
    Ledger ledger = known();
    ledger.sample({plates(10)}, at(1s), true);
    CHECK(!ledger.urgent());
    ServiceSample none;
    none.name = "plates";
    ledger.sample({none}, at(2s), true);
    CHECK(ledger.urgent());
    ledger.saved();
    ledger.sample({plates(11)}, at(3s), true);
    CHECK(total(ledger).flows == 21);
    // So does a service.
    ledger.sample({}, at(4s), true);
    CHECK(ledger.urgent());
    CHECK(ledger.state().seen.empty());
    ledger.sample({plates(30)}, at(5s), true);
    CHECK(total(ledger).flows == 51);
}

TEST_CASE("savings: a sample of some services forgets none of the others") {
    Ledger ledger = known();
    ServiceSample other = plates(7);
    other.name = "other";
    ledger.sample({plates(10), other}, at(1s), true);
    ledger.sample({other}, at(2s), false);
    ledger.sample({plates(12), other}, at(3s), true);
    CHECK(total(ledger).flows == 12);
    CHECK(total(ledger, "other").flows == 7);
}

TEST_CASE("savings: counters that cannot be read now count later, and once") {
    Ledger ledger = known();
    ledger.sample({plates(10)}, at(1s), true);
    ServiceSample unread;
    unread.name = "plates";
    unread.known = false;
    ledger.sample({unread}, at(2s), true);
    ledger.sample({plates(13)}, at(3s), true);
    CHECK(total(ledger).flows == 13);
}

TEST_CASE("savings: each link counts what its service fetched, from 0 on") {
    Ledger ledger = known();
    ServiceSample sample = plates(0);
    sample.links[7] = {100, 10};
    ledger.sample({sample}, at(1s), true);
    sample.links[9] = {500, 50};  // of the version that follows
    ledger.sample({sample}, at(2s), true);
    sample.links.erase(7);
    sample.links[9] = {600, 60};
    ledger.sample({sample}, at(3s), true);
    CHECK(total(ledger).uplink_in == 700);
    CHECK(total(ledger).uplink_out == 70);
}

TEST_CASE(
    "savings: a link that cannot be read now counts on where it was, and is forgotten once it is known to be gone") {
    Ledger ledger = known();
    ServiceSample sample = plates(0);
    sample.links[7] = {100, 10};
    ledger.sample({sample}, at(1s), true);
    ServiceSample unread = plates(0);
    unread.links_known = false;
    ledger.sample({unread}, at(2s), true);
    sample.links[7] = {130, 13};
    ledger.sample({sample}, at(3s), true);
    CHECK(total(ledger).uplink_in == 130);
    CHECK(total(ledger).uplink_out == 13);
    ledger.sample({plates(0)}, at(4s), true);
    CHECK(ledger.state().seen.at("plates").links.empty());
}

TEST_CASE("savings: a day ends at midnight, and what comes then is of the next one") {
    Ledger ledger = known();
    ledger.sample({plates(10)}, at(1s), true);
    ledger.sample({plates(15)}, at(60s, kMonday + 1), true);
    CHECK(on(ledger, kMonday).flows == 10);
    CHECK(on(ledger, kMonday + 1).flows == 5);
    CHECK(ledger.has_past_days(kMonday + 1));
}

TEST_CASE("savings: what counts before the clock is right stands on the day on which it gets so") {
    LedgerState state;
    state.newest = kMonday - 1;
    Ledger ledger = known(state);
    ledger.sample({plates(4)}, at(1s, kUndated), true);
    CHECK(on(ledger, kUndated).flows == 4);
    // Also where the clock runs and is behind what was written down: 2026-03-01 after a start without a clock.
    ledger.sample({plates(6)}, at(2s, kMonday - 267, false), true);
    CHECK(on(ledger, kUndated).flows == 6);
    CHECK(ledger.settle(at(2s, kMonday - 267, false)) == kUndated);
    // Nothing of that is lost by a restart.
    Ledger next = restarted(ledger);
    next.sample({plates(7)}, at(3s, kUndated), true);
    CHECK(on(next, kUndated).flows == 7);
    next.sample({plates(8)}, at(9s), true);
    CHECK(next.settle(at(9s)) == kMonday);
    CHECK(next.state().rows.size() == 1);
    CHECK(on(next, kMonday).flows == 8);
}

TEST_CASE("savings: days of a clock that was ahead become today, once it is known to be right") {
    Ledger ledger = known();
    ledger.sample({plates(10)}, at(1s, kMonday + 3'650), true);
    ledger.sample({plates(12)}, at(2s, kMonday, false), true);  // perhaps this one is wrong
    CHECK(on(ledger, kMonday).empty());
    ledger.sample({plates(13)}, at(3s), true);
    CHECK(ledger.state().rows.size() == 1);
    CHECK(on(ledger, kMonday).flows == 13);
    CHECK(ledger.state().newest == kMonday);
}

TEST_CASE("savings: a router that is taken west has the same day twice, and loses nothing") {
    Ledger ledger = known();
    ledger.sample({plates(10)}, at(1s), true);
    ledger.sample({plates(11)}, at(2s, kMonday - 1, false), true);
    ledger.sample({plates(13)}, at(3s), true);
    CHECK(on(ledger, kMonday - 1).flows == 1);
    CHECK(on(ledger, kMonday).flows == 12);
}

TEST_CASE("savings: time is counted by where new flows go") {
    Ledger ledger = known();
    ledger.stand("plates", Serving::here, at(10s));
    ledger.sample({plates(0)}, at(70s), true);
    ledger.stand("plates", Serving::cloud, at(80s));
    ledger.stand("plates", Serving::cloud, at(80s + 20ms));
    ledger.stand("plates", Serving::here, at(80s + 50ms));
    ledger.stand("plates", Serving::drained, at(90s));
    ledger.sample({plates(0)}, at(100s), true);
    CHECK(total(ledger).served_ms == 79'950);
    CHECK(total(ledger).cloud_ms == 50);
    CHECK(total(ledger).drained_ms == 10'000);
    CHECK(ledger.changed());
    CHECK(!ledger.counted());
}

TEST_CASE("savings: the time after the end of all claims is nobody's outage") {
    Ledger ledger = known();
    ledger.stand("plates", Serving::here, at(1s));
    ledger.stand("plates", Serving::ended, at(11s));
    ledger.sample({plates(0)}, at(3'611s), true);
    ledger.stand("plates", Serving::cloud, at(7'200s));
    ledger.sample({plates(0)}, at(7'203s), true);
    CHECK(total(ledger).served_ms == 10'000);
    CHECK(total(ledger).drained_ms == 0);
    CHECK(total(ledger).cloud_ms == 3'000);
}

TEST_CASE("savings: where there is no service nothing changes, and nothing is to be written") {
    Ledger ledger = known();
    ledger.sample({plates(3)}, at(1s), true);
    ledger.sample({}, at(61s), true);
    CHECK(ledger.urgent());
    ledger.saved();
    ledger.sample({}, at(3'700s), true);
    CHECK(!ledger.changed());
    CHECK(!ledger.urgent());
}

TEST_CASE("savings: fail-overs are counted by their growth, which begins at 0 with viscumd") {
    Ledger ledger = known();
    ServiceSample sample = plates(0);
    sample.failovers = 2;
    sample.failover_us = 900;
    ledger.sample({sample}, at(1s), true);
    ledger.sample({sample}, at(2s), true);
    Ledger next = restarted(ledger);
    sample.failovers = 1;
    sample.failover_us = 300;
    next.sample({sample}, at(3s), true);
    CHECK(total(next).failovers == 3);
    CHECK(total(next).failover_us == 1'200);
}

TEST_CASE("savings: round trips are kept by their least, their sum and their number") {
    Ledger ledger = known();
    ledger.stand("plates", Serving::here, at(1s));
    for (const std::int64_t us : {400, 200, 200, 600}) {
        ServiceSample sample = plates(0);
        sample.probe_us = us;  // the same one again is no new one
        ledger.sample({sample}, at(2s), true);
    }
    CHECK(total(ledger).here == RoundTrips{3, 200, 1'200});
    ledger.cloud_answered("plates", 24'000, at(3s));
    ledger.cloud_answered("plates", -1, at(4s));
    ledger.cloud_answered("plates", 22'000, at(5s, kMonday + 1));
    CHECK(total(ledger).away == RoundTrips{2, 22'000, 46'000});
    CHECK(total(ledger).away_failed == 1);
}

TEST_CASE("savings: sums stop at the largest number") {
    Ledger ledger = known();
    ledger.sample({plates(UINT64_MAX - 1)}, at(1s), true);
    ledger.sample({plates(5)}, at(2s), true);
    ledger.sample({plates(9)}, at(3s), true);
    CHECK(total(ledger).flows == UINT64_MAX);
}

TEST_CASE("savings: no more than 400 days and 4,096 rows are kept, the newest") {
    DayRows rows;
    for (Day day = kMonday - 1'000; day <= kMonday; ++day) {
        rows[{"plates", day}].flows = 1;
    }
    rows[{"plates", kUndated}].flows = 3;
    prune(rows, kMonday);
    CHECK(rows.size() == 401);
    CHECK(rows.contains({"plates", kMonday - 399}));
    CHECK(!rows.contains({"plates", kMonday - 400}));
    CHECK(rows.contains({"plates", kUndated}));

    DayRows many;
    for (int service = 0; service < 5'000; ++service) {
        many[{"s" + std::to_string(service), kMonday - service % 3}].flows = 1;
    }
    prune(many, kMonday);
    CHECK(many.size() <= kRowsKept);
    CHECK(many.begin()->first.second >= kMonday - 1);

    Ledger ledger = known();
    for (int service = 0; service < 5'000; ++service) {
        ServiceSample sample = plates(1);
        sample.name = "s" + std::to_string(service);
        ledger.sample({sample}, at(1s), false);
    }
    CHECK(ledger.state().rows.size() <= kRowsKept);
}
