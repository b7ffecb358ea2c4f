// SPDX-License-Identifier: GPL-2.0-only
#include "netns/route.h"

#include <doctest/doctest.h>

#include "base/text.h"
#include "tests/root/netns/service_net.h"
#include "tests/support/bed.h"
#include "tests/support/program.h"

using namespace viscum;

namespace {

struct Hotspot {
    Hotspot() : bed(must(Bed::make())), socket(made_in(bed->hotspot(), NlSocket::open)) {}
    [[nodiscard]] Way way(const std::string& to, const std::optional<Arrival>& arrival = {}) const {
        return must(way_to(socket, *IpAddress::parse(to), arrival));
    }
    [[nodiscard]] IfIndex device(const std::string& name) const { return must(find_link(socket, name)).index; }

    std::unique_ptr<Bed> bed;
    NlSocket socket;
};

}  // namespace

TEST_CASE("route: out of a device, by a gateway, to the router itself") {
    const Hotspot hotspot;
    for (const bool v6 : {false, true}) {
        const auto client = hotspot.way(hotspot.bed->client_address(1, v6).text());
        CHECK(client.kind == Way::Kind::forward);
        CHECK(client.device == hotspot.device("br-lan"));
        CHECK_FALSE(client.gateway);
        const auto cloud = hotspot.way(v6 ? "2001:db8:c::10" : "203.0.113.10");
        CHECK(cloud.kind == Way::Kind::forward);
        CHECK(cloud.device == hotspot.device("wan"));
        CHECK(cloud.gateway);
        CHECK(hotspot.way(v6 ? "2001:db8:77::1" : "10.77.0.1").kind == Way::Kind::local);
    }
}

TEST_CASE("route: what is forbidden, and what no route leads to") {
    const Hotspot hotspot;
    REQUIRE(ip_batch(hotspot.bed->hotspot(),
                     "route add unreachable 203.0.113.200\n"
                     "route add unreachable 2001:db8:c::200\n"
                     "route add blackhole 203.0.113.201\n"
                     "route del default\n"
                     "route del ::/0\n"));
    CHECK(hotspot.way("203.0.113.200").kind == Way::Kind::refused);
    CHECK(hotspot.way("2001:db8:c::200").kind == Way::Kind::refused);
    CHECK(hotspot.way("203.0.113.201").kind == Way::Kind::refused);
    CHECK(hotspot.way("192.88.99.1").kind == Way::Kind::none);
    CHECK(hotspot.way("2001:db8:dead::1").kind == Way::Kind::none);
}

TEST_CASE("route: a rule for what comes in by a device counts for that alone") {
    const Hotspot hotspot;
    REQUIRE(ip_batch(hotspot.bed->hotspot(),
                     "rule add iif br-lan lookup 100\n"
                     "route add unreachable 203.0.113.10 table 100\n"));
    const Arrival arrival{hotspot.bed->client_address(1), hotspot.device("br-lan")};
    CHECK(hotspot.way("203.0.113.10", arrival).kind == Way::Kind::dropped);
    CHECK(hotspot.way("203.0.113.20", arrival).kind == Way::Kind::forward);
    CHECK(hotspot.way("203.0.113.10").kind == Way::Kind::forward);
}

TEST_CASE("route: a rule for a protocol and a port counts for that alone") {
    const Hotspot hotspot;
    REQUIRE(ip_batch(hotspot.bed->hotspot(),
                     "rule add ipproto udp dport 443 lookup 100\n"
                     "route add blackhole 203.0.113.0/24 table 100\n"
                     "route add blackhole 2001:db8:c::/64 table 100\n"));
    must(output_of({"ip", "-6", "rule", "add", "ipproto", "udp", "sport", "5000", "lookup", "100"},
                   {.ns = &hotspot.bed->hotspot()}));
    const IfIndex lan = hotspot.device("br-lan");
    const auto v4 = [&](std::uint8_t protocol, std::uint16_t port) {
        return hotspot.way("203.0.113.10", Arrival{hotspot.bed->client_address(1), lan, protocol, 0, port}).kind;
    };
    CHECK(v4(IPPROTO_UDP, 443) == Way::Kind::dropped);
    CHECK(v4(IPPROTO_UDP, 444) == Way::Kind::forward);
    CHECK(v4(IPPROTO_TCP, 443) == Way::Kind::forward);
    const auto v6 = [&](std::uint8_t protocol, std::uint16_t port) {
        return hotspot.way("2001:db8:c::10", Arrival{hotspot.bed->client_address(1, true), lan, protocol, port, 443})
            .kind;
    };
    CHECK(v6(IPPROTO_UDP, 5000) == Way::Kind::dropped);
    CHECK(v6(IPPROTO_UDP, 5001) == Way::Kind::forward);
    CHECK(v6(IPPROTO_TCP, 5000) == Way::Kind::forward);
}

TEST_CASE("route: what the router would not forward from there is told, and is no error") {
    const Hotspot hotspot;
    const auto set = [&](const std::string& key, const std::string& value) {
        must(hotspot.bed->hotspot().inside([&] { return set_net_sysctl(cat("ipv4/conf/", key), value); }));
    };
    const Arrival arrival{hotspot.bed->client_address(1), hotspot.device("br-lan")};
    const Arrival false_one{*IpAddress::parse("192.0.2.77"), hotspot.device("br-lan")};
    CHECK(hotspot.way("203.0.113.10", arrival).kind == Way::Kind::forward);
    set("br-lan/rp_filter", "1");
    CHECK(hotspot.way("203.0.113.10", false_one).kind == Way::Kind::dropped);
    CHECK(hotspot.way("203.0.113.10", arrival).kind == Way::Kind::forward);
    set("br-lan/forwarding", "0");
    CHECK(hotspot.way("203.0.113.10", arrival).kind == Way::Kind::dropped);
    REQUIRE(ip_batch(hotspot.bed->hotspot(), "route add blackhole 203.0.113.201\n"));
    CHECK(hotspot.way("203.0.113.201", arrival).kind == Way::Kind::refused);
}
