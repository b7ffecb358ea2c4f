// SPDX-License-Identifier: GPL-2.0-only
#include "netns/link.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/root/netns/service_net.h"
#include "tests/support/program.h"

using namespace viscum;

namespace {

std::size_t count_links(const NlSocket& socket) {
    return must(list_links(socket)).size();
}

/// Addresses that the kernel made by itself.
std::size_t count_link_local(const NlSocket& socket) {
    const auto addresses = must(list_addresses(socket));
    const auto block = *IpPrefix::parse("fe80::/10");
    return static_cast<std::size_t>(std::count_if(
        addresses.begin(), addresses.end(), [&](const DeviceAddress& entry) { return block.contains(entry.address); }));
}

}  // namespace

TEST_CASE("link: a pair is up at both ends, without ARP, and no end has a link-local address") {
    const ServiceNet net("pair");
    const auto near = must(find_link(net.here, net.veth.name));
    CHECK(near == net.near);
    CHECK(near.kind == "veth");
    CHECK(near.up);
    CHECK_FALSE(near.arp);
    CHECK(near.mtu == 1500);
    CHECK(near.peer_nsid == must(net_ns_id(net.here, net.ns)));
    CHECK(net.far.name == "eth0");
    CHECK(net.far.mac == net.veth.peer_mac);
    CHECK(net.far.up);
    CHECK_FALSE(net.far.arp);
    CHECK(must(find_link(net.inside, "lo")).up);
    CHECK(count_link_local(net.here) == 0);
    CHECK(count_link_local(net.inside) == 0);
}

TEST_CASE("link: the far end is born inside, and the same request twice makes nothing") {
    const ServiceNet net("twice");
    const auto here = count_links(net.here);
    const auto again = must(create_veth(net.here, net.veth, net.ns));
    CHECK(again == net.near);
    CHECK(prepare_peer(net.inside, net.veth));
    CHECK(must(find_link(net.inside, "eth0")) == net.far);
    CHECK(count_links(net.here) == here);
    CHECK(count_links(net.inside) == 2);
}

TEST_CASE("link: a service that comes up a second time writes nothing") {
    const ServiceNet net("quiet");
    const auto wanted = owned({"203.0.113.10", "2001:db8::10"});
    net.apply(wanted);
    auto here = must(NlWatch::open(NlWatch::Groups::router));
    auto inside = made_in(net.ns, [] { return NlWatch::open(NlWatch::Groups::service); });
    // The kernel has news of its own for a while (the carrier came up); a write of ours would be news every time.
    bool quiet = false;
    for (int tries = 0; tries < 100 && !quiet; ++tries) {
        here.drain();
        inside.drain();
        must(create_veth(net.here, net.veth, net.ns));
        must(prepare_peer(net.inside, net.veth));
        CHECK(net.apply(wanted) == 0);
        quiet = !here.drain().links && !inside.drain().links;
    }
    CHECK(quiet);
}

TEST_CASE("link: what another tool changed on a pair is put right") {
    const ServiceNet net("repair");
    must(output_of({"ip", "link", "set", net.veth.name, "down", "arp", "on", "mtu", "1400"}));
    must(output_of({"ip", "link", "set", "eth0", "address", "02:00:00:00:00:01", "mtu", "1400"}, {.ns = &net.ns}));
    must(output_of({"ip", "link", "set", "lo", "down"}, {.ns = &net.ns}));
    CHECK(must(create_veth(net.here, net.veth, net.ns)) == net.near);
    must(prepare_peer(net.inside, net.veth));
    CHECK(must(find_link(net.here, net.veth.name)) == net.near);
    CHECK(must(find_link(net.inside, "eth0")) == net.far);
    CHECK(must(find_link(net.inside, "lo")).up);
    CHECK(count_link_local(net.here) == 0);
    CHECK(count_link_local(net.inside) == 0);
}

TEST_CASE("link: a foreign device of the wanted name is left alone") {
    const auto here = must(NlSocket::open());
    const auto ns = must(NetNs::create("test-foreign"));
    const VethSpec spec{"vsforeign", "eth0", {2, 0, 0, 0, 0, 1}, 1500};
    const auto refuses = [&] {
        const auto before = must(find_link(here, spec.name));
        const auto made = create_veth(here, spec, ns);
        REQUIRE_FALSE(made);
        CHECK(made.error().errno_code == EEXIST);
        CHECK(must(find_link(here, spec.name)) == before);
        must(delete_link(here, spec.name));
    };
    SUBCASE("a bridge") {
        must(output_of({"ip", "link", "add", spec.name, "type", "bridge"}));
        refuses();
    }
    SUBCASE("a pair with both ends here") {
        must(output_of({"ip", "link", "add", spec.name, "type", "veth", "peer", "name", "eth0"}));
        refuses();
    }
    SUBCASE("a pair into the right namespace whose far end has another name") {
        const auto line = {"ip",   "link", "add",  spec.name.c_str(), "type",        "veth",
                           "peer", "name", "eth1", "netns",           "test-foreign"};
        must(output_of({line.begin(), line.end()}));
        refuses();
    }
    SUBCASE("a pair into another namespace, also where an eth0 of the same index stands in ours") {
        const ServiceNet ours("foreign-ours");
        const ServiceNet other("foreign-other");
        CHECK(ours.far.index == other.far.index);
        const auto made = create_veth(here, other.veth, ours.ns);
        REQUIRE_FALSE(made);
        CHECK(made.error().errno_code == EEXIST);
        CHECK(must(find_link(here, other.veth.name)) == other.near);
    }
    must(remove_net_ns_name("test-foreign"));
}

TEST_CASE("link: a pair whose name another tool changed has it again, unless another device took it") {
    const ServiceNet net("renamed");
    const auto made = must(create_veth(net.here, net.veth, net.ns));
    must(output_of({"ip", "link", "set", net.veth.name, "name", "other"}));
    CHECK(keep_link_name(net.here, net.veth, net.ns));
    CHECK(keep_link_name(net.here, net.veth, net.ns));
    CHECK(must(create_veth(net.here, net.veth, net.ns)).index == made.index);
    must(output_of({"ip", "link", "set", net.veth.name, "name", "other"}));
    must(output_of({"ip", "link", "add", net.veth.name, "type", "bridge"}));
    const auto refused = keep_link_name(net.here, net.veth, net.ns);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().errno_code == EEXIST);
    must(output_of({"ip", "link", "delete", net.veth.name}));
    must(output_of({"ip", "link", "delete", "other"}));
    CHECK(keep_link_name(net.here, net.veth, net.ns));
}

TEST_CASE("link: a pair that cannot be made leaves nothing, and the error says what stood in the way") {
    const ServiceNet net("blocked");
    const auto before = count_links(net.here);
    const auto made = create_veth(net.here, {"vsblocked", "eth0", {2, 0, 0, 0, 0, 1}, 1500}, net.ns);
    REQUIRE_FALSE(made);
    CHECK(made.error().errno_code == EEXIST);
    CHECK(made.error().what.starts_with("cannot create veth 'vsblocked': "));
    CHECK(count_links(net.here) == before);
    CHECK_FALSE(create_veth(net.here, {"a-name-of-16-char", "eth1", {}, 1500}, net.ns));
    CHECK_FALSE(create_veth(net.here, {std::string(10'000, 'a'), "eth1", {}, 1500}, net.ns));
    CHECK(count_links(net.inside) == 2);
}

TEST_CASE("link: a device that is not there is ENODEV to find and success to delete") {
    const auto here = must(NlSocket::open());
    const auto found = find_link(here, "vsnone");
    REQUIRE_FALSE(found);
    CHECK(found.error().errno_code == ENODEV);
    CHECK(delete_link(here, "vsnone"));
}

TEST_CASE("link: the list shows kind, master and state of every device") {
    const auto here = must(NlSocket::open());
    must(output_of({"ip", "link", "add", "lan0", "mtu", "1400", "type", "veth", "peer", "name", "lan1"}));
    must(output_of({"ip", "link", "add", "br-lan", "type", "bridge"}));
    must(output_of({"ip", "link", "set", "lan0", "master", "br-lan"}));
    const auto links = must(list_links(here));
    const auto find = [&](const std::string& name) {
        const auto at = std::find_if(links.begin(), links.end(), [&](const Link& link) { return link.name == name; });
        REQUIRE(at != links.end());
        return *at;
    };
    CHECK(find("lo").up);
    CHECK(find("lo").kind.empty());
    CHECK(find("br-lan").kind == "bridge");
    CHECK(find("lan0").kind == "veth");
    CHECK(find("lan0").master == find("br-lan").index);
    CHECK(find("lan0").mtu == 1400);
    CHECK(find("lan1").master == IfIndex{});
    CHECK_FALSE(find("lan0").peer_nsid);
    CHECK(find("lan0") == must(find_link(here, "lan0")));
    must(delete_link(here, "lan0"));
    must(delete_link(here, "br-lan"));
}

TEST_CASE("link: a namespace's id is asked for once, and then stays") {
    const auto here = must(NlSocket::open());
    const auto ns = must(NetNs::create("test-id"));
    const auto list = [] { return must(output_of({"ip", "netns", "list-id"})); };
    CHECK(list().find("test-id") == std::string::npos);
    for (int looks = 0; looks < 2; ++looks) {
        CHECK_FALSE(must(known_net_ns_id(here, ns)));  // who only looks gives none
    }
    const auto id = must(net_ns_id(here, ns));
    CHECK(must(known_net_ns_id(here, ns)) == id);
    CHECK(must(net_ns_id(here, ns)) == id);
    CHECK(list().find("test-id") != std::string::npos);
    const ServiceNet other("id-other");
    CHECK(must(net_ns_id(here, other.ns)) == other.near.peer_nsid);
    CHECK(must(net_ns_id(here, other.ns)) != id);
    must(remove_net_ns_name("test-id"));
}
