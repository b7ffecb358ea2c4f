// SPDX-License-Identifier: GPL-2.0-only
#include "controller/plan/admission.h"

#include <doctest/doctest.h>

using namespace viscum;

namespace {

const Claim kWeb{*IpPrefix::parse("203.0.113.10"), {443, 443}, Protocol::tcp};
const Claim kDns{*IpPrefix::parse("203.0.113.10"), {53, 53}, Protocol::udp};
const Claim kOther{*IpPrefix::parse("203.0.113.11"), {443, 443}, Protocol::tcp};

ServiceSpec spec_of(std::vector<Claim> claims, OnFailure on_failure = OnFailure::cloud) {
    ServiceSpec spec;
    spec.name = "plates";
    spec.intercept = std::move(claims);
    spec.on_failure = on_failure;
    return spec;
}

RunView up(const ServiceSpec& spec) {
    return {&spec, true, true, true, true, false, false};
}

}  // namespace

TEST_CASE("admission: nothing is admitted before the first success, and without a link") {
    const auto spec = spec_of({kWeb});
    RunView run = up(spec);
    CHECK(admission_of(run, false, Protocol::tcp) == Admission::serve);
    run.was_up = false;
    CHECK(admission_of(run, false, Protocol::tcp) == Admission::off);
    run = up(spec);
    run.has_link = false;
    CHECK(admission_of(run, false, Protocol::tcp) == Admission::off);
}

TEST_CASE("admission: what a process wrote before it ended is delivered, and its datagrams go to the cloud") {
    const auto spec = spec_of({kWeb, kDns});
    RunView run = up(spec);
    run.alive = false;
    run.healthy = false;
    CHECK(admission_of(run, false, Protocol::tcp) == Admission::drain);
    CHECK(admission_of(run, false, Protocol::udp) == Admission::off);
}

TEST_CASE("admission: a service that hangs keeps its connections, and gives its datagrams to the cloud") {
    const auto spec = spec_of({kWeb, kDns});
    RunView run = up(spec);
    run.healthy = false;
    CHECK(admission_of(run, false, Protocol::tcp) == Admission::drain);
    CHECK(admission_of(run, false, Protocol::udp) == Admission::off);
}

TEST_CASE("admission: a service that flaps, stops, or is drained keeps the flows that run") {
    const auto spec = spec_of({kWeb, kDns});
    RunView run = up(spec);
    run.held_down = true;
    CHECK(admission_of(run, false, Protocol::tcp) == Admission::drain);
    CHECK(admission_of(run, false, Protocol::udp) == Admission::drain);
    run = up(spec);
    run.stopping = true;
    CHECK(admission_of(run, false, Protocol::udp) == Admission::drain);
    CHECK(admission_of(up(spec), true, Protocol::tcp) == Admission::drain);
}

TEST_CASE("admission: on_failure keep ignores health, but not the operator") {
    const auto spec = spec_of({kWeb}, OnFailure::keep);
    RunView run = up(spec);
    run.healthy = false;
    CHECK(admission_of(run, false, Protocol::tcp) == Admission::serve);
    CHECK(admission_of(run, true, Protocol::tcp) == Admission::drain);
}

TEST_CASE("admission: during an update the version before gets new flows, and both keep theirs") {
    const auto before = spec_of({kWeb});
    const auto next = spec_of({kWeb, kOther}, OnFailure::drop);
    ServiceView service;
    service.name = "plates";
    service.runs = {up(before), RunView{&next, true, false, true, false, false, false}};
    auto rules = rules_of(service);
    REQUIRE(rules.size() == 2);
    CHECK(rules[0].claim == kWeb);
    CHECK(rules[0].backend == std::array{true, true});
    CHECK(rules[0].active == 0);
    CHECK(rules[0].admission == Admission::serve);
    CHECK_FALSE(rules[0].closed);
    CHECK(rules[1].claim == kOther);
    CHECK(rules[1].active == 1);
    CHECK(rules[1].admission == Admission::off);

    // The next one is up, and the one before finishes.
    service.runs[1] = up(next);
    service.runs[0]->stopping = true;
    service.primary = 1;
    rules = rules_of(service);
    REQUIRE(rules.size() == 2);
    for (const auto& rule : rules) {
        CHECK(rule.active == 1);
        CHECK(rule.admission == Admission::serve);
        CHECK(rule.closed);
    }
    CHECK(rules[0].backend == std::array{true, true});
    CHECK(rules[1].backend == std::array{false, true});
}

TEST_CASE("admission: a claim that the next version gives up drains with the version before") {
    const auto before = spec_of({kWeb, kOther});
    const auto next = spec_of({kWeb});
    ServiceView service;
    service.name = "plates";
    service.runs = {up(before), up(next)};
    service.runs[0]->stopping = true;
    service.primary = 1;
    const auto rules = rules_of(service);
    REQUIRE(rules.size() == 2);
    CHECK(rules[1].claim == kOther);
    CHECK(rules[1].active == 0);
    CHECK(rules[1].admission == Admission::drain);
}

TEST_CASE("admission: a version that is being removed keeps its flows while another one is deployed") {
    const auto spec = spec_of({kWeb});
    ServiceView service;
    service.name = "plates";
    service.runs = {up(spec), RunView{&spec, true, false, true, false, false, false}};
    service.runs[0]->stopping = true;
    service.primary = 1;
    auto rules = rules_of(service);
    REQUIRE(rules.size() == 1);
    CHECK(rules[0].active == 1);
    CHECK(rules[0].backend == std::array{true, true});
    CHECK(rules[0].admission == Admission::drain);

    // Not so where none of them has any.
    service.runs[0]->was_up = false;
    CHECK(rules_of(service)[0].admission == Admission::off);
}

TEST_CASE("admission: a claim that has ended drains, the others serve, and a clock that is set back brings it back") {
    using namespace std::chrono_literals;
    const WallTime end = *parse_wall_time("2026-12-31T23:59:00Z");
    auto spec = spec_of({kWeb, kDns, kOther});
    spec.ends = {{kWeb, end}, {kDns, end + 1h}};
    ServiceView service;
    service.name = "plates";
    service.runs = {up(spec), std::nullopt};
    const auto admitted = [&](WallTime now) {
        service.now = now;
        std::vector<Admission> out;
        for (const auto& rule : rules_of(service)) {
            out.push_back(rule.admission);
        }
        return out;
    };
    constexpr auto kServe = Admission::serve;
    constexpr auto kDrain = Admission::drain;
    CHECK(admitted(end - 1s) == std::vector{kServe, kServe, kServe});
    CHECK(admitted(end) == std::vector{kDrain, kServe, kServe});
    CHECK(admitted(end + 1h) == std::vector{kDrain, kDrain, kServe});
    CHECK(admitted(WallTime{}) == std::vector{kServe, kServe, kServe});
    CHECK(next_end(spec, end - 1s) == end);
    CHECK(next_end(spec, end) == end + 1h);
    CHECK(next_end(spec, end + 1h) == WallTime::max());
}

TEST_CASE("admission: an end counts whatever becomes of failures, and a service that is down stays off") {
    const WallTime end = *parse_wall_time("2026-12-31T23:59:00Z");
    for (const auto on_failure : {OnFailure::cloud, OnFailure::drop, OnFailure::keep}) {
        auto spec = spec_of({kWeb}, on_failure);
        spec.ends = {{kWeb, end}};
        ServiceView service;
        service.runs = {up(spec), std::nullopt};
        service.now = end;
        REQUIRE(rules_of(service).size() == 1);
        CHECK(rules_of(service)[0].admission == Admission::drain);
        CHECK(rules_of(service)[0].closed == (on_failure == OnFailure::drop));
        service.runs[0]->was_up = false;
        CHECK(rules_of(service)[0].admission == Admission::off);
    }
}

TEST_CASE("admission: what has ended is told, all or how many, and what becomes of new flows") {
    const WallTime end = *parse_wall_time("2026-12-31T23:59:00Z");
    auto spec = spec_of({kWeb, kOther});
    CHECK(describe_ended(spec, end).empty());
    spec.ends = {{kWeb, end}};
    CHECK(describe_ended(spec, end - std::chrono::seconds(1)).empty());
    CHECK(describe_ended(spec, end) == "1 of 2 claims ended, whose new flows go to the cloud");
    CHECK_FALSE(all_ended(spec, end));
    spec.ends.push_back({kOther, end});
    CHECK_FALSE(all_ended(spec, end - std::chrono::seconds(1)));
    CHECK(all_ended(spec, end) == end);
    CHECK(describe_ended(spec, end) == "ended at 2026-12-31T23:59:00Z: new flows go to the cloud");
    spec.on_failure = OnFailure::drop;
    CHECK(describe_ended(spec, end) == "ended at 2026-12-31T23:59:00Z: new flows are dropped");
}

TEST_CASE("admission: in an update the end of the version that is to get new flows counts") {
    const WallTime end = *parse_wall_time("2026-12-31T23:59:00Z");
    auto before = spec_of({kWeb});
    before.ends = {{kWeb, end}};
    const auto next = spec_of({kWeb});
    ServiceView service;
    service.runs = {up(before), up(next)};
    service.now = end;
    CHECK(rules_of(service)[0].admission == Admission::drain);
    service.runs[0]->stopping = true;
    service.primary = 1;
    REQUIRE(rules_of(service).size() == 1);
    CHECK(rules_of(service)[0].admission == Admission::serve);
}
