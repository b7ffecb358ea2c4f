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
