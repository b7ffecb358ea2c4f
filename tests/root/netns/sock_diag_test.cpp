// SPDX-License-Identifier: GPL-2.0-only
#include "netns/sock_diag.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "tests/root/netns/service_net.h"
#include "tests/support/endpoint.h"

using namespace viscum;

namespace {

/// A service with an address of each family and a socket that reads its socket table.
struct Observed {
    explicit Observed(const std::string& name) : net(name), diag(made_in(net.ns, SockDiag::open)) {
        net.apply(owned({"203.0.113.10", "203.0.113.11", "2001:db8::10", "2001:db8::11"}));
    }
    ServiceNet net;
    SockDiag diag;
};

UniqueFd bound(const NetNs& ns, int type, const std::string& address, std::uint16_t port) {
    const auto at = Endpoint::of(address, port);
    return must(open_socket(ns, type, at, at));
}

UniqueFd listening(const NetNs& ns, const std::string& address, std::uint16_t port) {
    auto fd = bound(ns, SOCK_STREAM, address, port);
    REQUIRE(listen(fd.get(), 8) == 0);
    return fd;
}

UniqueFd connected(const NetNs& ns, const std::string& from, const std::string& to, std::uint16_t port) {
    const auto target = Endpoint::of(to, port);
    auto fd = must(open_socket(ns, SOCK_STREAM, target, Endpoint::of(from, 0)));
    const auto address = to_sockaddr(target);
    REQUIRE((connect(fd.get(), address.get(), address.length) == 0 || errno == EINPROGRESS));
    return fd;
}

SockDiag::Listener at(const std::string& address, std::uint16_t port) {
    return {Endpoint::of(address, port).address, port};
}

bool same(std::vector<SockDiag::Listener> seen, const std::vector<SockDiag::Listener>& wanted) {
    return std::is_permutation(seen.begin(), seen.end(), wanted.begin(), wanted.end());
}

}  // namespace

TEST_CASE("sock_diag: listeners of both families are seen, and none of another namespace") {
    const Observed service("listeners");
    const auto elsewhere = listening(must(NetNs::current()), "127.0.0.1", 8081);
    CHECK(must(service.diag.tcp_listeners()).empty());
    const auto v4 = listening(service.net.ns, "203.0.113.10", 443);
    const auto any4 = listening(service.net.ns, "0.0.0.0", 80);
    const auto v6 = listening(service.net.ns, "2001:db8::10", 443);
    auto any6 = listening(service.net.ns, "::", 8000);
    const auto not_yet = bound(service.net.ns, SOCK_STREAM, "203.0.113.10", 444);
    CHECK(same(must(service.diag.tcp_listeners()),
               {at("203.0.113.10", 443), at("0.0.0.0", 80), at("2001:db8::10", 443), at("::", 8000)}));
    any6.reset();
    CHECK(same(must(service.diag.tcp_listeners()),
               {at("203.0.113.10", 443), at("0.0.0.0", 80), at("2001:db8::10", 443)}));
}

TEST_CASE("sock_diag: UDP sockets that are bound are listeners, connected ones are not") {
    const Observed service("udp-listeners");
    const auto v4 = bound(service.net.ns, SOCK_DGRAM, "203.0.113.10", 53);
    const auto v6 = bound(service.net.ns, SOCK_DGRAM, "::", 5353);
    const auto peer = bound(service.net.ns, SOCK_DGRAM, "203.0.113.10", 6000);
    const auto address = to_sockaddr(Endpoint::of("192.0.2.1", 53));
    REQUIRE(connect(peer.get(), address.get(), address.length) == 0);
    CHECK(same(must(service.diag.udp_listeners()), {at("203.0.113.10", 53), at("::", 5353)}));
    CHECK(must(service.diag.tcp_listeners()).empty());
}

TEST_CASE("sock_diag: a socket that is bound to a device is told from one that is not") {
    const Observed service("bound-to-device");
    const auto free = listening(service.net.ns, "203.0.113.10", 80);
    const auto held = listening(service.net.ns, "203.0.113.10", 81);
    REQUIRE(setsockopt(held.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) == 0);
    auto there = at("203.0.113.10", 81);
    there.bound = true;
    CHECK(same(must(service.diag.tcp_listeners()), {at("203.0.113.10", 80), there}));
}

TEST_CASE("sock_diag: a socket on :: that is for IPv6 alone is told from one for both families") {
    const Observed service("v6-only");
    const auto both = listening(service.net.ns, "::", 80);
    const auto elsewhere = listening(service.net.ns, "0.0.0.0", 81);  // or :: could have the port for both
    std::vector<UniqueFd> alone;
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        must(service.net.ns.inside([&]() -> Status {
            UniqueFd fd(socket(AF_INET6, type | SOCK_CLOEXEC, 0));
            const int on = 1;
            sockaddr_in6 any{};
            any.sin6_family = AF_INET6;
            any.sin6_port = htons(81);
            REQUIRE(setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
            REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
            REQUIRE((type == SOCK_DGRAM || listen(fd.get(), 8) == 0));
            alone.push_back(std::move(fd));
            return {};
        }));
    }
    auto only = at("::", 81);
    only.v6_only = true;
    CHECK(same(must(service.diag.tcp_listeners()), {at("::", 80), at("0.0.0.0", 81), only}));
    CHECK(same(must(service.diag.udp_listeners()), {only}));
}

TEST_CASE("sock_diag: one connection is found by both ends, until it is over") {
    const Observed service("one-connection");
    const auto listener = listening(service.net.ns, "203.0.113.10", 80);
    auto client = connected(service.net.ns, "203.0.113.11", "203.0.113.10", 80);
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    REQUIRE(getsockname(client.get(), reinterpret_cast<sockaddr*>(&name), &length) == 0);
    const SockDiag::Connection connection{at("203.0.113.10", 80), at("203.0.113.11", from_sockaddr(name).port)};
    CHECK(must(service.diag.has_connection(connection)));
    auto other = connection;
    ++other.there.port;
    CHECK_FALSE(must(service.diag.has_connection(other)));
    // The service's end closes first, and is left in TIME_WAIT.
    UniqueFd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(accepted);
    accepted.reset();
    client.reset();
    for (int tries = 0; tries < 200 && must(service.diag.has_connection(connection)); ++tries) {
        poll(nullptr, 0, 10);
    }
    CHECK_FALSE(must(service.diag.has_connection(connection)));
}

TEST_CASE("sock_diag: open connections are counted until they are closed, listeners and probes are not") {
    const Observed service("connections");
    const auto& ns = service.net.ns;
    const auto v4 = listening(ns, "203.0.113.10", 80);
    const auto v6 = listening(ns, "2001:db8::10", 80);
    CHECK(must(service.diag.open_connections()) == 0);
    // A probe goes from the address that it probes.
    const auto probe4 = connected(ns, "203.0.113.10", "203.0.113.10", 80);
    const auto probe6 = connected(ns, "2001:db8::10", "2001:db8::10", 80);
    CHECK(must(service.diag.open_connections()) == 0);
    // Both ends of these are sockets of this namespace; a client's would be one.
    auto client4 = connected(ns, "203.0.113.11", "203.0.113.10", 80);
    CHECK(must(service.diag.open_connections()) == 2);
    const auto client6 = connected(ns, "2001:db8::11", "2001:db8::10", 80);
    CHECK(must(service.diag.open_connections()) == 4);
    // Its own, and nobody answers there.
    const auto half = connected(ns, "203.0.113.10", "192.0.2.1", 80);
    CHECK(must(service.diag.open_connections()) == 4);
    const UniqueFd accepted(accept4(v4.get(), nullptr, nullptr, SOCK_CLOEXEC));
    UniqueFd second(accept4(v4.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(second);
    client4.reset();
    // One end waits for its program; the other has nothing left to deliver, and only waits for that.
    for (int tries = 0; tries < 200 && must(service.diag.open_connections()) != 3; ++tries) {
        poll(nullptr, 0, 10);  // the other end may be slow to acknowledge
    }
    CHECK(must(service.diag.open_connections()) == 3);
    second.reset();
    CHECK(must(service.diag.open_connections()) == 2);
}

TEST_CASE("sock_diag: connections that the service began are none of its clients'") {
    const Observed service("own-flows");
    const auto any = listening(service.net.ns, "::", 80);
    const auto client = connected(service.net.ns, "203.0.113.11", "203.0.113.10", 80);
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    REQUIRE(getsockname(client.get(), reinterpret_cast<sockaddr*>(&name), &length) == 0);
    const auto port = from_sockaddr(name).port;
    CHECK(must(service.diag.open_connections()) == 2);
    CHECK(must(service.diag.open_connections({port, port})) == 1);
    CHECK(must(service.diag.open_connections({81, 82})) == 2);
}

TEST_CASE("sock_diag: a dual-stack listener's IPv4 connections count, and its probes do not") {
    const Observed service("dual-stack");
    const auto any = listening(service.net.ns, "::", 80);
    const auto probe = connected(service.net.ns, "203.0.113.10", "203.0.113.10", 80);
    CHECK(must(service.diag.open_connections()) == 0);
    const auto client = connected(service.net.ns, "203.0.113.11", "203.0.113.10", 80);
    CHECK(must(service.diag.open_connections()) == 2);
}
