// SPDX-License-Identifier: GPL-2.0-only
#include "netns/conntrack.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>

#include "tests/root/netns/service_net.h"
#include "tests/support/endpoint.h"
#include "tests/support/program.h"
#include "tests/support/sandbox.h"

using namespace viscum;

namespace {

constexpr std::uint16_t kFrom = 40'000;

void send_datagram(const NetNs& ns, const std::string& from, const std::string& to, std::uint16_t port) {
    const auto target = Endpoint::of(to, port);
    const auto fd = must(open_socket(ns, SOCK_DGRAM, target, Endpoint::of(from, kFrom)));
    const auto address = to_sockaddr(target);
    REQUIRE(sendto(fd.get(), "x", 1, 0, address.get(), address.length) == 1);
}

std::vector<TrackedFlow> tracked(const NetNs& ns, const std::vector<std::string>& destinations, std::size_t limit = 100,
                                 Transport transport = Transport::udp) {
    std::vector<IpPrefix> prefixes;
    for (const auto& text : destinations) {
        prefixes.push_back(IpPrefix::parse(text).value());
    }
    return made_in(ns, [&] { return tracked_flows(transport, prefixes, limit); });
}

TrackedFlow flow(const std::string& from, const std::string& to, std::uint16_t port) {
    return {IpAddress::parse(from).value(), IpAddress::parse(to).value(), kFrom, port};
}

/// Whether the kernel tracks connections in `ns` from here on.
bool start_tracking(const NetNs& ns) {
    const std::string rules =
        "add table inet t\nadd chain inet t c { type filter hook output priority 0; }\nadd rule inet t c ct state new "
        "counter\n";
    return run({"nft", "-f", "-"}, {.ns = &ns, .input = rules}).success();
}

}  // namespace

TEST_CASE("conntrack: a namespace without tracking has no flows") {
    const ServiceNet net("untracked");
    net.apply(owned({"203.0.113.10"}));
    send_datagram(net.ns, "203.0.113.10", "192.0.2.1", 443);
    CHECK(tracked(net.ns, {"192.0.2.0/24", "2001:db8::/32"}).empty());
}

TEST_CASE("conntrack: the UDP flows to the asked destinations are listed, of both families, and nothing else") {
    const ServiceNet net("tracked");
    net.apply(owned({"203.0.113.10", "2001:db8::10"}));
    if (!start_tracking(net.ns)) {
        skip("nft is missing, or the kernel tracks no connections");
        return;
    }
    send_datagram(net.ns, "203.0.113.10", "192.0.2.1", 443);
    send_datagram(net.ns, "203.0.113.10", "192.0.2.2", 443);
    send_datagram(net.ns, "203.0.113.10", "198.51.100.1", 53);
    send_datagram(net.ns, "2001:db8::10", "2001:db8:1::1", 443);
    const auto target = Endpoint::of("192.0.2.1", 443);
    const auto tcp = must(open_socket(net.ns, SOCK_STREAM, target, {}));
    const auto address = to_sockaddr(target);
    REQUIRE(connect(tcp.get(), address.get(), address.length) != 0);
    REQUIRE(errno == EINPROGRESS);

    const auto first = flow("203.0.113.10", "192.0.2.1", 443);
    const auto second = flow("203.0.113.10", "192.0.2.2", 443);
    const auto sixth = flow("2001:db8::10", "2001:db8:1::1", 443);
    CHECK(tracked(net.ns, {"192.0.2.1"}) == std::vector{first});
    CHECK(tracked(net.ns, {"2001:db8:1::1"}) == std::vector{sixth});
    CHECK(tracked(net.ns, {"192.0.2.9"}).empty());
    CHECK(tracked(net.ns, {}).empty());
    const std::vector wanted{first, second, sixth};
    for (const auto& destinations : std::vector<std::vector<std::string>>{
             {"192.0.2.0/24", "2001:db8:1::/64"}, {"192.0.2.1", "192.0.2.2", "2001:db8:1::1"}}) {
        const auto seen = tracked(net.ns, destinations);
        CHECK(std::is_permutation(seen.begin(), seen.end(), wanted.begin(), wanted.end()));
    }
    const auto connections = tracked(net.ns, {"192.0.2.0/24"}, 100, Transport::tcp);
    REQUIRE(connections.size() == 1);
    CHECK(connections.front().destination == first.destination);
    CHECK(connections.front().source_port != kFrom);
    CHECK(tracked(net.ns, {"192.0.2.0/24"}, 1).size() == 1);
    CHECK(tracked(net.ns, {"192.0.2.0/24"}, 0).empty());
}
