// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <set>

#include "netns/nl_socket.h"
#include "tests/root/netns/service_net.h"
#include "tests/support/program.h"

using namespace viscum;

namespace {

bool readable(int fd) {
    pollfd watched{fd, POLLIN, 0};
    return poll(&watched, 1, 0) == 1;
}

bool silent(const NlWatch::News& news) {
    return !news.links && !news.tc && !news.overflow;
}

}  // namespace

TEST_CASE("watch: links, addresses and filters are news to the router's watch, each of its kind") {
    // A device that stays down: the kernel has no news of its own about it.
    const std::string device = "br-watch";
    must(output_of({"ip", "link", "add", device, "type", "bridge"}));
    const std::uint32_t its_number = if_nametoindex(device.c_str());
    auto watch = must(NlWatch::open(NlWatch::Groups::router));
    CHECK_FALSE(readable(watch.fd()));
    CHECK(silent(watch.drain()));
    const auto only_links = [&](const Argv& argv) {
        must(output_of(argv));
        CHECK(readable(watch.fd()));
        const auto news = watch.drain();
        CHECK(news.links);
        CHECK_FALSE(news.tc);
        CHECK(news.devices.contains(its_number));
        CHECK_FALSE(readable(watch.fd()));
    };
    only_links({"ip", "link", "set", device, "mtu", "1400"});
    only_links({"ip", "addr", "add", "192.0.2.1/24", "dev", device});
    only_links({"ip", "addr", "add", "2001:db8:1::1/64", "dev", device});
    must(output_of({"tc", "qdisc", "add", "dev", device, "clsact"}));
    const auto news = watch.drain();
    CHECK(news.tc);
    CHECK_FALSE(news.links);
    CHECK_FALSE(news.overflow);
    CHECK(news.devices == std::set{its_number});
    only_links({"ip", "link", "delete", device});
}

TEST_CASE("watch: that a route to a single address ends is news to the router's watch, and no other route is") {
    const auto ns = must(NetNs::create("test-routes"));
    must(output_of({"ip", "link", "set", "lo", "up"}, {.ns = &ns}));
    auto watch = made_in(ns, [] { return NlWatch::open(NlWatch::Groups::router); });
    for (const std::string route : {"198.51.100.0/28", "2001:db8:5::/64", "198.51.100.1/32", "2001:db8:5::1/128"}) {
        CAPTURE(route);
        must(output_of({"ip", "route", "add", route, "dev", "lo"}, {.ns = &ns}));
        CHECK_FALSE(readable(watch.fd()));
        must(output_of({"ip", "route", "delete", route, "dev", "lo"}, {.ns = &ns}));
        CHECK(watch.drain().links == (route.ends_with("/32") || route.ends_with("/128")));
    }
    must(remove_net_ns_name("test-routes"));
}

TEST_CASE("watch: addresses and routes are news to a service's watch, and what happens elsewhere is not") {
    const auto ns = must(NetNs::create("test-watch"));
    must(output_of({"ip", "link", "set", "lo", "up"}, {.ns = &ns}));
    auto watch = made_in(ns, [] { return NlWatch::open(NlWatch::Groups::service); });
    must(output_of({"ip", "link", "add", "br-watch", "type", "bridge"}));
    must(output_of({"ip", "link", "delete", "br-watch"}));
    CHECK(silent(watch.drain()));
    for (const std::string prefix : {"198.51.100.0/28", "2001:db8:5::/64"}) {
        CAPTURE(prefix);
        must(output_of({"ip", "route", "add", "table", "local", "local", prefix, "dev", "lo"}, {.ns = &ns}));
        CHECK(watch.drain().links);
        must(output_of({"ip", "route", "delete", "table", "local", "local", prefix, "dev", "lo"}, {.ns = &ns}));
        CHECK(watch.drain().links);
    }
    must(output_of({"ip", "addr", "add", "203.0.113.10/32", "dev", "lo"}, {.ns = &ns}));
    CHECK(watch.drain().links);
    must(remove_net_ns_name("test-watch"));
}

TEST_CASE("watch: what does not fit into the buffer is reported as overflow, and the watch goes on") {
    const ServiceNet net("overflow");
    auto watch = must(NlWatch::open(NlWatch::Groups::router));
    const int tiny = 1;
    REQUIRE(setsockopt(watch.fd(), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny) == 0);
    for (int mtu = 1300; mtu < 1350; ++mtu) {
        must(create_veth(net.here, {net.veth.name, "eth0", {}, static_cast<std::uint32_t>(mtu)}, net.ns));
    }
    CHECK(watch.drain().overflow);
    CHECK(silent(watch.drain()));
    must(create_veth(net.here, net.veth, net.ns));
    const auto news = watch.drain();
    CHECK((news.links || news.overflow));
}

TEST_CASE("nl_socket: a process may have more sockets than libnl's 1,024 port numbers") {
    std::vector<NlSocket> sockets;
    for (int i = 0; i < 1100; ++i) {
        auto socket = NlSocket::open();
        if (!socket && socket.error().errno_code == EMFILE) {
            MESSAGE("only " << i << " descriptors allowed");
            break;
        }
        sockets.push_back(must(std::move(socket)));
    }
    CHECK(find_link(sockets.back(), "lo"));
}
