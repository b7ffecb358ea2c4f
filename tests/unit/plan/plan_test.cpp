// SPDX-License-Identifier: GPL-2.0-only
#include "controller/plan/plan.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace viscum;

namespace {

const BackendKey kPlates{"plates", 0};
const BackendKey kPlatesNext{"plates", 1};
const ActualBackend kWhole{true, true, true, true, {}, true};

WantedRule rule(const std::string& service, Admission admission) {
    WantedRule out;
    out.claim = {*IpPrefix::parse("203.0.113.10"), {443, 443}, Protocol::tcp};
    out.service = service;
    out.backend = {true, false};
    out.admission = admission;
    return out;
}

Wanted running() {
    Wanted wanted;
    wanted.backends[kPlates].process = true;
    wanted.rules = {rule("plates", Admission::serve)};
    wanted.lan = {"lan1"};
    return wanted;
}

Actual as_wanted(const Wanted& wanted) {
    Actual actual;
    for (const auto& [key, backend] : wanted.backends) {
        actual.backends[key] = kWhole;
    }
    actual.rules = wanted.rules;
    for (const auto& device : wanted.lan) {
        actual.lan[device] = true;
    }
    return actual;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("plan: an unchanged service costs no step") {
    CHECK(describe(make_plan(running(), as_wanted(running()))).empty());
    CHECK(make_plan({}, {.backends = {},
                         .rules = std::vector<WantedRule>{},
                         .lan = {{"lan1", false}},
                         .masquerade = false,
                         .unprepared_lan = {}})
              .empty());
}

TEST_CASE("plan: a new service gets its rules, which are off, then its namespace, and its process last") {
    Actual nothing;
    nothing.rules.emplace();
    nothing.lan["lan1"] = false;
    CHECK(describe(make_plan(running(), nothing)) ==
          Lines{"write rules", "attach filter to lan1", "make namespace for plates", "make link for plates",
                "set addresses of plates", "attach fence of plates", "launch plates"});
}

TEST_CASE("plan: a removed service loses its traffic first and its namespace last") {
    Wanted nothing;
    CHECK(describe(make_plan(nothing, as_wanted(running()))) == Lines{"write rules", "detach filter from lan1",
                                                                      "end plates", "remove link of plates",
                                                                      "remove namespace of plates"});
}

TEST_CASE("plan: whatever another tool removed is made again, and what stands on it") {
    const Wanted wanted = running();
    struct Loss {
        ActualBackend left;
        Lines steps;
    };
    const std::vector<Loss> losses{
        {{false, false, false, false, {}, true},
         {"make namespace for plates", "make link for plates", "set addresses of plates", "attach fence of plates"}},
        {{true, false, true, true, {}, true},
         {"make link for plates", "set addresses of plates", "attach fence of plates"}},
        {{true, true, false, true, {}, true}, {"set addresses of plates"}},
        {{true, true, true, false, {}, true}, {"attach fence of plates"}},
        {{true, true, true, true, {}, false}, {"launch plates"}},
    };
    for (const auto& loss : losses) {
        Actual actual = as_wanted(wanted);
        actual.backends[kPlates] = loss.left;
        CHECK(describe(make_plan(wanted, actual)) == loss.steps);
    }
    Actual flushed = as_wanted(wanted);
    flushed.lan["lan1"] = false;
    CHECK(describe(make_plan(wanted, flushed)) == Lines{"attach filter to lan1"});
}

TEST_CASE("plan: a device that is not there is not attached to, and an unwanted one is left") {
    Wanted wanted = running();
    Actual actual = as_wanted(wanted);
    actual.lan.clear();
    CHECK(make_plan(wanted, actual).empty());
    actual.lan["wlan0"] = true;
    CHECK(describe(make_plan(wanted, actual)) == Lines{"detach filter from wlan0"});
}

TEST_CASE("plan: a LAN device is made ready before anything is deployed") {
    Actual actual;
    actual.rules.emplace();
    actual.lan["lan1"] = false;
    actual.unprepared_lan = {"lan1"};
    CHECK(describe(make_plan({}, actual)) == Lines{"add clsact to lan1"});
}

TEST_CASE("plan: rules are written when what they say changes, or when it is not known what stands there") {
    Wanted wanted = running();
    Actual actual = as_wanted(wanted);
    wanted.rules[0].admission = Admission::drain;
    CHECK(describe(make_plan(wanted, actual)) == Lines{"write rules"});
    actual = as_wanted(wanted);
    actual.rules.reset();
    CHECK(describe(make_plan(wanted, actual)) == Lines{"write rules"});
}

TEST_CASE("plan: an update brings the new version up beside the old one, which goes later") {
    Wanted wanted = running();
    wanted.backends[kPlatesNext].process = true;
    Actual actual = as_wanted(running());
    CHECK(describe(make_plan(wanted, actual)) == Lines{"make namespace for plates.1", "make link for plates.1",
                                                       "set addresses of plates.1", "attach fence of plates.1",
                                                       "launch plates.1"});
    wanted.backends.erase(kPlates);
    actual = as_wanted(wanted);
    actual.backends[kPlates] = kWhole;
    CHECK(describe(make_plan(wanted, actual)) ==
          Lines{"end plates", "remove link of plates", "remove namespace of plates"});
}

TEST_CASE("plan: a namespace owns each address once, and a source for every family") {
    ServiceSpec spec;
    spec.intercept = {{*IpPrefix::parse("203.0.113.10"), {443, 443}, Protocol::tcp},
                      {*IpPrefix::parse("203.0.113.10"), {80, 80}, Protocol::tcp},
                      {*IpPrefix::parse("2001:db8::/64"), {443, 443}, Protocol::tcp}};
    const auto owned = owned_by(spec);
    CHECK(owned.addresses == std::vector{*IpAddress::parse("203.0.113.10"), *IpAddress::parse("2001:db8::")});
    CHECK(owned.prefixes == std::vector{*IpPrefix::parse("2001:db8::/64")});
    CHECK_FALSE(owns_several(owned_by(spec), true));
    CHECK(owns_several(owned_by(spec), false));
}

TEST_CASE("plan: what a service may begin is set before it is launched, and masqueraded before that") {
    Wanted wanted = running();
    Actual actual = as_wanted(wanted);
    wanted.backends[kPlates].egress.emplace().allowed.internet = true;
    wanted.masquerade = true;
    actual.backends[kPlates].process = false;
    CHECK(describe(make_plan(wanted, actual)) == Lines{"make masquerade", "set egress of plates", "launch plates"});
}

TEST_CASE("plan: a new link has nothing of what an old one might begin") {
    Wanted wanted = running();
    wanted.backends[kPlates].egress.emplace();
    wanted.masquerade = true;
    Actual actual = as_wanted(wanted);
    actual.backends[kPlates].egress = wanted.backends[kPlates].egress;
    actual.masquerade = true;
    CHECK(describe(make_plan(wanted, actual)).empty());
    actual.backends[kPlates].link = false;
    const auto steps = describe(make_plan(wanted, actual));
    CHECK(std::find(steps.begin(), steps.end(), "set egress of plates") != steps.end());
}

TEST_CASE("plan: the masquerade goes with the last service that needs it, after its link") {
    Wanted wanted = running();
    Actual actual = as_wanted(wanted);
    actual.backends[kPlatesNext] = {true, true, true, true, WantedEgress{}, false};
    actual.masquerade = true;
    CHECK(describe(make_plan(wanted, actual)) ==
          Lines{"remove link of plates.1", "remove namespace of plates.1", "remove masquerade"});
}
