// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/rounds.h"

#include <doctest/doctest.h>

#include <set>

using namespace viscum;
using namespace std::chrono_literals;

namespace {

Claim claim(const char* prefix, PortRange ports, Protocol protocol = Protocol::tcp) {
    return {*IpPrefix::parse(prefix), ports, protocol};
}

const CloudTarget kWeb{*IpAddress::parse("203.0.113.10"), 80};
const CloudTarget kWeb6{*IpAddress::parse("2001:db8::10"), 443};

}  // namespace

TEST_CASE("savings: only single addresses and ports of TCP are asked in the cloud") {
    ServiceSpec spec;
    spec.intercept = {claim("198.51.100.0/28", {80, 80}), claim("203.0.113.53", {53, 53}, Protocol::udp),
                      claim("203.0.113.10", {80, 80}), claim("203.0.113.11", {8000, 8100}),
                      claim("2001:db8::10", {443, 443})};
    CHECK(cloud_targets(spec) == std::vector{kWeb, kWeb6});
    spec.on_failure = OnFailure::drop;
    CHECK(cloud_targets(spec).empty());
}

TEST_CASE("savings: a service's cloud is asked once in 15 minutes at most, its addresses in turn") {
    Rounds rounds;
    const std::vector<Rounds::Served> served{{"plates", {kWeb, kWeb6}}, {"dns", {}}};
    std::vector<BootTime> asked;
    std::set<std::uint16_t> ports;
    for (BootTime now = 1h; now < 5h; now += 10s) {
        if (const auto choice = rounds.next(served, now, 0.5)) {
            CHECK(choice->service == "plates");
            asked.push_back(now);
            ports.insert(choice->target.port);
        }
    }
    REQUIRE(asked.size() > 10);
    CHECK(asked.front() <= 1h + Rounds::kFirst + 10s);
    for (std::size_t i = 1; i < asked.size(); ++i) {
        CHECK(asked[i] - asked[i - 1] >= Rounds::kInterval);
        CHECK(asked[i] - asked[i - 1] <= Rounds::kInterval + Rounds::kJitter + 10s);
    }
    CHECK(ports == std::set<std::uint16_t>{80, 443});
}

TEST_CASE("savings: services take turns, and one that comes and goes is not asked more often") {
    Rounds rounds;
    const std::vector<Rounds::Served> both{{"a", {kWeb}}, {"b", {kWeb6}}};
    std::map<std::string, std::vector<BootTime>> asked;
    bool there = true;
    for (BootTime now = 1h; now < 4h; now += 10s) {
        there = !there;
        if (const auto choice = rounds.next(there ? both : std::vector{both[0]}, now, 0)) {
            asked[choice->service].push_back(now);
        }
    }
    for (const auto& [service, times] : asked) {
        for (std::size_t i = 1; i < times.size(); ++i) {
            CHECK(times[i] - times[i - 1] >= Rounds::kInterval);
        }
    }
    CHECK(asked["a"].size() >= 11);
    CHECK(asked["b"].size() >= 11);
    CHECK(!rounds.next({}, 5h, 0));
}
