// SPDX-License-Identifier: GPL-2.0-only
// Filters on a real device, beside those of other tools.
#include "classic/u32.h"

#include <doctest/doctest.h>
#include <linux/if_ether.h>

#include <algorithm>

#include "tests/root/netns/service_net.h"
#include "tests/support/program.h"

using namespace viscum;

namespace {

constexpr std::uint16_t kOurs = 7, kOthers = 9;

U32Filter filter(std::uint16_t priority, std::uint16_t port, U32Action action, IfIndex target) {
    return {priority, ETH_P_IP, {{8, 0x00ff0000, 0x00060000}, {20, 0x0000ffff, port}}, 42, action, target};
}

std::vector<U32Filter> standing(const ServiceNet& net, std::uint16_t instance) {
    std::vector<U32Filter> filters;
    for (const StandingFilter& one : must(list_u32(net.here, net.near.index, instance))) {
        filters.push_back(one.filter);
    }
    return filters;
}

std::string shown(const ServiceNet& net) {
    return must(output_of({"tc", "filter", "show", "dev", net.veth.name, "ingress"}));
}

}  // namespace

TEST_CASE("u32: what a device carries becomes what is wanted, and nothing is written where it is") {
    const ServiceNet net("u32");
    const std::vector wanted = {filter(87, 80, U32Action::leave, IfIndex{}),
                                filter(88, 81, U32Action::mirror, net.near.index),
                                filter(100, 82, U32Action::redirect, net.near.index)};
    CHECK(standing(net, kOurs).empty());
    CHECK(must(apply_u32(net.here, net.near.index, kOurs, wanted)) == 3);
    CHECK(standing(net, kOurs) == wanted);
    CHECK(must(apply_u32(net.here, net.near.index, kOurs, wanted)) == 0);
    const std::vector fewer = {wanted[2], filter(100, 83, U32Action::redirect, IfIndex{1})};
    CHECK(must(apply_u32(net.here, net.near.index, kOurs, fewer)) == 3);
    CHECK(standing(net, kOurs) == fewer);
    CHECK(must(apply_u32(net.here, net.near.index, kOurs, {})) == 2);
    CHECK(shown(net).empty());
}

TEST_CASE("u32: another instance's filters, and other tools', stay as they are") {
    const ServiceNet net("u32-others");
    must(apply_u32(net.here, net.near.index, kOthers, {filter(100, 80, U32Action::redirect, net.near.index)}));
    must(output_of({"tc", "filter", "add", "dev", net.veth.name, "ingress", "pref", "100", "protocol", "ip", "u32",
                    "match", "ip", "dst", "192.0.2.1", "flowid", "1:1"}));
    const std::string before = shown(net);
    const std::vector wanted = {filter(100, 81, U32Action::redirect, net.near.index),
                                filter(101, 82, U32Action::leave, IfIndex{})};
    CHECK(must(apply_u32(net.here, net.near.index, kOurs, wanted)) == 2);
    CHECK(standing(net, kOthers).size() == 1);
    CHECK(must(apply_u32(net.here, net.near.index, kOurs, {})) == 2);
    CHECK(shown(net) == before);
    // Of a priority that another tool has for another protocol nothing can be ours, and that is said.
    must(output_of({"tc", "filter", "add", "dev", net.veth.name, "ingress", "pref", "102", "protocol", "arp", "u32",
                    "match", "u32", "0", "0", "flowid", "1:1"}));
    const auto refused = apply_u32(net.here, net.near.index, kOurs, {filter(102, 81, U32Action::leave, IfIndex{})});
    REQUIRE_FALSE(refused);
    CHECK_MESSAGE(refused.error().what.find("preference 102") != std::string::npos, refused.error().what);
}

TEST_CASE("u32: a device that is gone carries nothing, and nothing can be put on it") {
    const NlSocket here = must(NlSocket::open());
    const IfIndex gone{0x7ffffff0};
    CHECK(must(list_u32(here, gone, kOurs)).empty());
    CHECK(must(apply_u32(here, gone, kOurs, {})) == 0);
    CHECK_FALSE(apply_u32(here, gone, kOurs, {filter(87, 80, U32Action::leave, IfIndex{})}));
}
