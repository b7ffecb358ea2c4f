// SPDX-License-Identifier: GPL-2.0-only
#include "netns/addr.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/root/netns/service_net.h"
#include "tests/support/endpoint.h"
#include "tests/support/program.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

/// What `device` carries, as text, sorted.
std::vector<std::string> addresses_of(const NlSocket& socket, IfIndex device) {
    std::vector<std::string> texts;
    for (const auto& entry : must(list_addresses(socket))) {
        if (entry.device == device) {
            texts.push_back(cat(entry.address.text(), '/', entry.length));
        }
    }
    std::sort(texts.begin(), texts.end());
    return texts;
}

/// Our own routes, as iproute2 shows them, sorted.
std::vector<std::string> routes_in(const NetNs& ns) {
    std::vector<std::string> routes;
    for (const std::string family : {"-4", "-6"}) {
        const auto text = must(output_of({"ip", family, "route", "show", "table", "all", "proto", "86"}, {.ns = &ns}));
        for (auto& line : split(text, '\n')) {
            line.erase(line.find_last_not_of(' ') + 1);
            if (!line.empty()) {
                routes.push_back(line);
            }
        }
    }
    std::sort(routes.begin(), routes.end());
    return routes;
}

/// The source that the kernel chooses for a datagram to `to`.
std::string source_towards(const NetNs& ns, const std::string& to) {
    const auto endpoint = Endpoint::of(to, 9);
    const auto fd = must(open_socket(ns, SOCK_DGRAM, endpoint, {}));
    const auto address = to_sockaddr(endpoint);
    REQUIRE(connect(fd.get(), address.get(), address.length) == 0);
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) == 0);
    return from_sockaddr(storage).address.text();
}

/// Whether a listener on `address` can be reached from inside its own namespace, from that same address.
bool serves_itself(const NetNs& ns, const std::string& address) {
    const auto server = Endpoint::of(address, 8000);
    const auto listener = open_socket(ns, SOCK_STREAM, server, server);
    if (!listener || listen(listener->get(), 1) != 0) {
        return false;
    }
    const auto client = open_socket(ns, SOCK_STREAM, server, {server.address, 0});
    const auto sockaddr_to = to_sockaddr(server);
    if (!client || (connect(client->get(), sockaddr_to.get(), sockaddr_to.length) != 0 && errno != EINPROGRESS)) {
        return false;
    }
    return wait_for_socket(listener->get(), POLLIN, boot_now() + 2s);
}

}  // namespace

TEST_CASE("addr: a service owns its addresses and prefixes, and nothing else stands on its device") {
    const ServiceNet net("owns");
    net.apply(owned({"203.0.113.10", "203.0.113.11", "198.51.100.0/28", "2001:db8::10", "2001:db8:5::/64"}));
    CHECK(addresses_of(net.inside, net.far.index) ==
          std::vector<std::string>{"2001:db8::10/128", "203.0.113.10/32", "203.0.113.11/32"});
    CHECK(routes_in(net.ns) ==
          std::vector<std::string>{"default dev eth0 scope link src 203.0.113.10",
                                   "default dev eth0 src 2001:db8::10 metric 1024 pref medium",
                                   "local 198.51.100.0/28 dev lo table local scope host",
                                   "local 2001:db8:5::/64 dev lo table local metric 1024 pref medium",
                                   "local 2001:db8::10 dev lo table local metric 1024 pref medium"});
}

TEST_CASE("addr: applying the same twice writes nothing") {
    const ServiceNet net("same");
    for (const auto& wanted : {owned({"203.0.113.10", "2001:db8::10", "198.51.100.0/28", "2001:db8:5::/64"}),
                               owned({"198.51.100.0/28", "2001:db8:5::/64"}), owned({"2001:db8::10"}), owned({})}) {
        CHECK(net.apply(wanted) > 0);
        CHECK(net.apply(wanted) == 0);
    }
}

TEST_CASE("addr: an address that stands twice, or is a prefix as well, is written once") {
    const ServiceNet net("double");
    auto wanted = owned({"203.0.113.10", "203.0.113.10"});
    wanted.prefixes = {
        {wanted.single[0], 32}, *IpPrefix::parse("198.51.100.0/28"), *IpPrefix::parse("198.51.100.0/28")};
    CHECK(net.apply(wanted) == 3);
    CHECK(net.apply(wanted) == 0);
}

TEST_CASE("addr: every owned address can be bound and reached with real sockets") {
    const ServiceNet net("reach");
    net.apply(owned({"203.0.113.10", "198.51.100.0/28", "2001:db8::10", "2001:db8:5::/64"}));
    for (const std::string address : {"203.0.113.11", "198.51.100.16", "2001:db8::11", "2001:db8:6::1"}) {
        CAPTURE(address);
        CHECK_FALSE(serves_itself(net.ns, address));
    }
    must(net.ns.inside([] { return set_net_sysctl("ipv6/ip_nonlocal_bind", "1"); }));
    for (const std::string address : {"203.0.113.10", "198.51.100.0", "198.51.100.7", "198.51.100.15", "2001:db8::10",
                                      "2001:db8:5::", "2001:db8:5::1:2:3"}) {
        CAPTURE(address);
        CHECK(serves_itself(net.ns, address));
    }
}

TEST_CASE("addr: an IPv6 address is reached at once, before the kernel's own route to it is there") {
    for (int i = 0; i < 20; ++i) {
        const ServiceNet net("at-once");
        net.apply(owned({"2001:db8::10"}));
        CHECK(serves_itself(net.ns, "2001:db8::10"));
    }
}

TEST_CASE("addr: the first address of a family is the source of what is sent without one") {
    const ServiceNet net("source");
    net.apply(owned({"203.0.113.20", "203.0.113.10", "2001:db8::20", "2001:db8::10"}));
    CHECK(source_towards(net.ns, "192.0.2.1") == "203.0.113.20");
    CHECK(source_towards(net.ns, "2001:db8:1::1") == "2001:db8::20");
    // The other order of the same addresses: the default routes alone change.
    CHECK(net.apply(owned({"203.0.113.10", "203.0.113.20", "2001:db8::10", "2001:db8::20"})) == 2);
    CHECK(source_towards(net.ns, "192.0.2.1") == "203.0.113.10");
    CHECK(source_towards(net.ns, "2001:db8:1::1") == "2001:db8::10");
}

TEST_CASE("addr: a family that has prefixes only answers from the first address of the first") {
    const ServiceNet net("prefixes");
    net.apply(owned({"198.51.100.16/28", "198.51.100.0/28", "2001:db8:5::/64"}));
    CHECK(source_towards(net.ns, "192.0.2.1") == "198.51.100.16");
    CHECK(source_towards(net.ns, "2001:db8:1::1") == "2001:db8:5::");
}

TEST_CASE("addr: a changed set removes what is no longer wanted, and the routes of a family that is gone") {
    const ServiceNet net("changed");
    net.apply(owned({"203.0.113.10", "203.0.113.11", "198.51.100.0/28", "2001:db8::10", "2001:db8:5::/64"}));
    net.apply(owned({"203.0.113.11", "203.0.113.12", "198.51.100.32/28"}));
    CHECK(addresses_of(net.inside, net.far.index) == std::vector<std::string>{"203.0.113.11/32", "203.0.113.12/32"});
    CHECK(routes_in(net.ns) == std::vector<std::string>{"default dev eth0 scope link src 203.0.113.11",
                                                        "local 198.51.100.32/28 dev lo table local scope host"});
    CHECK_FALSE(serves_itself(net.ns, "203.0.113.10"));
    CHECK_FALSE(serves_itself(net.ns, "198.51.100.1"));
    CHECK_FALSE(serves_itself(net.ns, "2001:db8::10"));
    CHECK(net.apply(owned({})) == 4);
    CHECK(addresses_of(net.inside, net.far.index).empty());
    CHECK(routes_in(net.ns).empty());
}

TEST_CASE("addr: what another tool put on the device goes, also a wanted address of another length") {
    const ServiceNet net("foreign-address");
    for (const auto* text : {"203.0.113.10/24", "203.0.113.99/24", "192.0.2.9/32", "2001:db8::10/64", "fe80::1/64"}) {
        must(output_of({"ip", "addr", "add", text, "dev", "eth0"}, {.ns = &net.ns}));
    }
    const auto wanted = owned({"203.0.113.10", "2001:db8::10"});
    net.apply(wanted);
    CHECK(addresses_of(net.inside, net.far.index) == std::vector<std::string>{"2001:db8::10/128", "203.0.113.10/32"});
    CHECK(net.apply(wanted) == 0);
}

TEST_CASE("addr: what another tool removed comes back") {
    const ServiceNet net("removed");
    const auto wanted = owned({"203.0.113.10", "198.51.100.0/28", "2001:db8::10", "2001:db8:5::/64"});
    net.apply(wanted);
    const auto addresses = addresses_of(net.inside, net.far.index);
    const auto routes = routes_in(net.ns);
    SUBCASE("the addresses, and with them the routes by the device") {
        must(output_of({"ip", "addr", "flush", "dev", "eth0"}, {.ns = &net.ns}));
    }
    SUBCASE("the device was down") {
        must(output_of({"ip", "link", "set", "eth0", "down"}, {.ns = &net.ns}));
        must(prepare_peer(net.inside, net.veth));
    }
    SUBCASE("the routes") {
        must(output_of({"ip", "-4", "route", "flush", "table", "all", "proto", "86"}, {.ns = &net.ns}));
        must(output_of({"ip", "-6", "route", "flush", "table", "all", "proto", "86"}, {.ns = &net.ns}));
    }
    SUBCASE("the loopback was down") {
        must(output_of({"ip", "link", "set", "lo", "down"}, {.ns = &net.ns}));
        must(prepare_peer(net.inside, net.veth));
    }
    CHECK(net.apply(wanted) > 0);
    CHECK(addresses_of(net.inside, net.far.index) == addresses);
    CHECK(routes_in(net.ns) == routes);
    CHECK(net.apply(wanted) == 0);
}

TEST_CASE("addr: routes that another tool made, and the kernel's, are left alone") {
    const ServiceNet net("foreign-route");
    net.apply(owned({"203.0.113.10", "198.51.100.0/28"}));
    must(output_of({"ip", "route", "add", "192.0.2.0/24", "dev", "eth0"}, {.ns = &net.ns}));
    const auto all = [&] { return must(output_of({"ip", "route", "show", "table", "all"}, {.ns = &net.ns})); };
    const auto before = all();
    net.apply(owned({"203.0.113.10", "198.51.100.32/28"}));
    net.apply(owned({"203.0.113.10", "198.51.100.0/28"}));
    CHECK(all() == before);
    net.apply(owned({"203.0.113.10"}));
    CHECK(all().find("192.0.2.0/24") != std::string::npos);
    CHECK(all().find("local 203.0.113.10") != std::string::npos);
}

TEST_CASE("addr: an error names the address") {
    const ServiceNet net("error");
    const auto applied = apply_addresses(net.inside, IfIndex{99}, owned({"203.0.113.10"}));
    REQUIRE_FALSE(applied);
    CHECK(applied.error().errno_code == ENODEV);
    CHECK(applied.error().what.find("203.0.113.10") != std::string::npos);
}
