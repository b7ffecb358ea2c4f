// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/kept_flows.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace viscum;

namespace {

constexpr IfIndex kCloud{}, kOne{7}, kTwo{8};

KeptFlow flow(std::uint16_t client_port, IfIndex link) {
    KeptFlow made;
    made.client = IpAddress::parse("10.77.0.11").value();
    made.service = IpAddress::parse("203.0.113.10").value();
    made.client_port = client_port;
    made.service_port = 80;
    made.link = link;
    return made;
}

}  // namespace

TEST_CASE("kept flows: each link's are replaced by themselves, and what is equal is no change") {
    KeptFlows kept;
    CHECK(kept.replace(kOne, {flow(1, kOne), flow(2, kOne)}));
    CHECK_FALSE(kept.replace(kOne, {flow(2, kOne), flow(1, kOne), flow(1, kOne)}));
    CHECK(kept.replace(kCloud, {flow(3, kCloud)}));
    CHECK(kept.replace(kOne, {flow(2, kOne)}));
    CHECK(kept.of(kOne) == std::vector{flow(2, kOne)});
    CHECK(kept.of(kCloud) == std::vector{flow(3, kCloud)});
    CHECK(kept.links_but({}) == std::set{kOne});
    CHECK(kept.links_but({kOne}).empty());
}

TEST_CASE("kept flows: a flow has one place, the last one that was said") {
    KeptFlows kept;
    kept.replace(kOne, {flow(1, kOne), flow(2, kOne)});
    CHECK(kept.replace(kTwo, {flow(1, kTwo)}));
    CHECK(kept.of(kOne) == std::vector{flow(2, kOne)});
    CHECK(kept.of(kTwo) == std::vector{flow(1, kTwo)});
}

TEST_CASE("kept flows: there is room for so many, and the others are counted") {
    KeptFlows kept;
    std::vector<KeptFlow> many;
    for (std::uint16_t port = 1; port <= 300; ++port) {
        many.push_back(flow(port, kOne));
    }
    kept.replace(kOne, many);
    CHECK(kept.all().size() == KeptFlows::kMax);
    CHECK(kept.not_kept() == 300 - KeptFlows::kMax);
    // The same ones, said again, are not counted again; one more is.
    kept.replace(kOne, many);
    CHECK(kept.not_kept() == 300 - KeptFlows::kMax);
    many.push_back(flow(301, kOne));
    kept.replace(kOne, many);
    many.pop_back();
    kept.replace(kOne, many);
    CHECK(kept.not_kept() == 301 - KeptFlows::kMax);
    kept.replace(kTwo, {flow(400, kTwo)});
    CHECK(kept.of(kTwo).empty());
    // The first ones that are named are taken, whatever their order.
    std::reverse(many.begin(), many.end());
    kept.replace(kOne, many);
    CHECK(kept.of(kOne).back() == flow(300, kOne));
    CHECK(kept.of(kOne).front() == flow(300 - KeptFlows::kMax + 1, kOne));
    const auto counted = kept.not_kept();
    kept.replace(kOne, {});
    kept.replace(kTwo, {flow(400, kTwo)});
    CHECK(kept.of(kTwo).size() == 1);
    // Who comes once there was room for all is another one.
    CHECK(counted == 302 - KeptFlows::kMax);
    kept.replace(kTwo, {});
    kept.replace(kOne, many);
    CHECK(kept.not_kept() == counted + 300 - KeptFlows::kMax);
}
