// SPDX-License-Identifier: GPL-2.0-only
// Real sockets: a service begins flows through its link, the router's own stack, and an uplink.
#include <doctest/doctest.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "base/text.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"
#include "tests/support/bed.h"

using namespace viscum;

namespace {

const auto kPatience = std::chrono::seconds(3);

struct Traffic {
    Traffic() : lab(Lab::make()) {
        REQUIRE(lab);
        REQUIRE(lab->add_internet());
        REQUIRE(lab->attach());
        auto egress = lab->egress();
        egress.internet = true;
        for (const auto& side : kOutsides) {
            egress.origins.push_back({tcp(side.owned, side.owned, 0).source, tcp(side.origin, side.origin, 0).source});
        }
        REQUIRE(lab->allow(egress) > 0);
    }
    /// A socket of the service on its way to `to`; its source is the kernel's choice.
    [[nodiscard]] UniqueFd begin(int type, const Endpoint& to) const {
        const std::string any = to.address.is_v4() ? "0.0.0.0" : "::";
        auto socket = open_socket(lab->namespace_of(0), type, to, Endpoint::of(any, 0));
        REQUIRE(socket);
        const auto address = to_sockaddr(to);
        const int error = connect(socket->get(), address.get(), address.length);
        REQUIRE((error == 0 || errno == EINPROGRESS));
        return std::move(*socket);
    }

    std::unique_ptr<Lab> lab;
};

UniqueFd accept_one(int listener) {
    REQUIRE(wait_for_socket(listener, POLLIN, boot_now() + kPatience));
    UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    REQUIRE(fd);
    return fd;
}

/// Sends `size` bytes of a pattern from one socket to the other and counts those that come as they were.
std::size_t transfer(int from, int to, std::size_t size) {
    std::string sent(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        sent[i] = static_cast<char>(i * 31 + i / 256);
    }
    std::string got;
    std::size_t gone = 0;
    std::vector<char> buffer(65'536);
    const auto deadline = boot_now() + 3 * kPatience;
    while (got.size() < size && boot_now() < deadline) {
        if (gone < size) {
            const auto done = send(from, sent.data() + gone, size - gone, MSG_DONTWAIT | MSG_NOSIGNAL);
            gone += static_cast<std::size_t>(std::max<ssize_t>(0, done));
        }
        if (const auto length = recv(to, buffer.data(), buffer.size(), MSG_DONTWAIT); length > 0) {
            got.append(buffer.data(), static_cast<std::size_t>(length));
        } else {
            wait_for_socket(to, POLLIN, boot_now() + std::chrono::milliseconds(20));
        }
    }
    return got == sent ? size : 0;
}

/// Without transmit checksum offload there is no segmentation offload either.
Status sum_in_software(const NetNs& ns, const std::string& device) {
    return ns.inside([&device]() -> Status {
        const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ethtool_value off{ETHTOOL_STXCSUM, 0};
        ifreq request{};
        std::copy(device.begin(), device.end(), request.ifr_name);
        request.ifr_data = reinterpret_cast<char*>(&off);
        if (!fd || ioctl(fd.get(), SIOCETHTOOL, &request) != 0) {
            return errno_error(cat("cannot set offloads of ", device));
        }
        return {};
    });
}

Endpoint peer_of(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    REQUIRE(getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0);
    return from_sockaddr(storage);
}

}  // namespace

TEST_CASE("egress: a service's connection carries much data both ways, to a host and to its own address's origin") {
    const Traffic traffic;
    for (const auto& side : kOutsides) {
        for (const bool origin : {false, true}) {
            CAPTURE(side.owned);
            CAPTURE(origin);
            const auto& at = origin ? side.owned : side.remote;
            const auto listener = listen_tcp(traffic.lab->internet(), at, 8443);
            const auto before = traffic.lab->link_counters();
            const auto socket = traffic.begin(SOCK_STREAM, Endpoint::of(origin ? side.origin : at, 8443));
            const auto accepted = accept_one(listener.get());
            CHECK(peer_of(accepted.get()).address == tcp(side.alias, side.alias, 0).source);
            const std::size_t size = 4'000'000;  // with segmentation offload: far fewer packets than segments
            CHECK(transfer(socket.get(), accepted.get(), size) == size);
            CHECK(transfer(accepted.get(), socket.get(), size) == size);
            const auto after = traffic.lab->link_counters();
            CHECK(after.out_bytes - before.out_bytes > size);
            CHECK(after.in_bytes - before.in_bytes > size);
        }
    }
    for (const auto& refused : traffic.lab->link_counters().refused) {
        CAPTURE(refused.first);
        CHECK(refused.second == 0);
    }
}

TEST_CASE("egress: checksums left to a device are right when one sums and segments in software") {
    const Traffic traffic;
    const auto router = NetNs::current();
    REQUIRE(router);
    struct Device {
        const NetNs* ns;
        const char* name;
    };
    // The router's first: it sums what the others left to it. Then all: every packet is summed before it is translated.
    for (const auto& devices :
         {std::vector<Device>{{&*router, "wan0"}, {&*router, "svc0"}},
          std::vector<Device>{{&traffic.lab->namespace_of(0), "eth0"}, {&traffic.lab->internet(), "eth0"}}}) {
        for (const auto& device : devices) {
            REQUIRE(sum_in_software(*device.ns, device.name));
        }
        for (const auto& side : kOutsides) {
            CAPTURE(side.owned);
            const auto listener = listen_tcp(traffic.lab->internet(), side.owned, 8443);
            const auto socket = traffic.begin(SOCK_STREAM, Endpoint::of(side.origin, 8443));
            const auto accepted = accept_one(listener.get());
            CHECK(transfer(socket.get(), accepted.get(), 300'000) == 300'000);
            CHECK(transfer(accepted.get(), socket.get(), 300'000) == 300'000);
            const auto server = bind_udp(traffic.lab->internet(), side.owned, 53);
            const auto asking = traffic.begin(SOCK_DGRAM, Endpoint::of(side.origin, 53));
            REQUIRE(send(asking.get(), "ask", 3, 0) == 3);
            REQUIRE(wait_for_socket(server.get(), POLLIN, boot_now() + kPatience));
            char buffer[8];
            sockaddr_storage from{};
            socklen_t size = sizeof from;
            REQUIRE(recvfrom(server.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size) == 3);
            REQUIRE(sendto(server.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&from), size) == 6);
            REQUIRE(wait_for_socket(asking.get(), POLLIN, boot_now() + kPatience));
            CHECK(recv(asking.get(), buffer, sizeof buffer, 0) == 6);
        }
    }
}

TEST_CASE("egress: datagrams are answered, small ones and those in fragments, connected and not") {
    const Traffic traffic;
    for (const auto& side : kOutsides) {
        for (const bool origin : {false, true}) {
            const auto server = bind_udp(traffic.lab->internet(), origin ? side.owned : side.remote, 53);
            const auto to = Endpoint::of(origin ? side.origin : side.remote, 53);
            const auto address = to_sockaddr(to);
            for (const bool connected : {false, true}) {
                for (const std::size_t length : {std::size_t{5}, std::size_t{6000}}) {
                    CAPTURE(to.text());
                    CAPTURE(connected);
                    CAPTURE(length);
                    UniqueFd socket;
                    const std::string question(length, 'q');
                    if (connected) {
                        socket = traffic.begin(SOCK_DGRAM, to);
                    } else {
                        auto opened = open_socket(traffic.lab->namespace_of(0), SOCK_DGRAM, to, {});
                        REQUIRE(opened);
                        socket = std::move(*opened);
                    }
                    const auto sent =
                        connected ? send(socket.get(), question.data(), length, 0)
                                  : sendto(socket.get(), question.data(), length, 0, address.get(), address.length);
                    REQUIRE(sent == static_cast<ssize_t>(length));
                    REQUIRE(wait_for_socket(server.get(), POLLIN, boot_now() + kPatience));
                    std::string buffer(10'000, '\0');
                    sockaddr_storage from{};
                    socklen_t size = sizeof from;
                    CHECK(recvfrom(server.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from),
                                   &size) == static_cast<ssize_t>(length));
                    CHECK(from_sockaddr(from).address == tcp(side.alias, side.alias, 0).source);
                    const std::string reply(length + 1, 'r');
                    REQUIRE(sendto(server.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
                                   size) == static_cast<ssize_t>(reply.size()));
                    REQUIRE(wait_for_socket(socket.get(), POLLIN, boot_now() + kPatience));
                    size = sizeof from;
                    CHECK(recvfrom(socket.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from),
                                   &size) == static_cast<ssize_t>(reply.size()));
                    CHECK(from_sockaddr(from) == to);
                }
            }
        }
    }
}

TEST_CASE(
    "egress: a client of the LAN that addresses the alias gets nothing, from the service itself no answer either") {
    const Traffic traffic;
    for (std::size_t i = 0; i < kOutsides.size(); ++i) {
        const auto& side = kOutsides[i];
        const Lab& lab = *traffic.lab;
        const auto listener = listen_tcp(lab.namespace_of(0), kFamilies[i].any, 8080);
        const auto server = bind_udp(lab.namespace_of(0), kFamilies[i].any, 8080);
        const auto before = lab.refused("unasked");
        const auto to = Endpoint::of(side.alias, 8080);
        const auto address = to_sockaddr(to);
        const auto stream = open_socket(lab.client(), SOCK_STREAM, to, Endpoint::of(kFamilies[i].any, 0));
        REQUIRE(stream);
        connect(stream->get(), address.get(), address.length);
        const auto datagram = open_socket(lab.client(), SOCK_DGRAM, to, Endpoint::of(kFamilies[i].any, 0));
        REQUIRE(datagram);
        REQUIRE(sendto(datagram->get(), "hello", 5, 0, address.get(), address.length) == 5);
        const auto deadline = boot_now() + kPatience;
        while (lab.refused("unasked") < before + 2 && boot_now() < deadline) {
        }
        CHECK(lab.refused("unasked") >= before + 2);
        CHECK_FALSE(wait_for_socket(listener.get(), POLLIN, boot_now()));
        CHECK_FALSE(wait_for_socket(server.get(), POLLIN, boot_now()));
    }
}

TEST_CASE("egress: what a service may not reach gets nothing from it") {
    const Traffic traffic;
    const Lab& lab = *traffic.lab;
    for (const auto& [at, any] : {std::pair{"10.77.0.10", "0.0.0.0"}, std::pair{"2001:db8:77::10", "::"}}) {
        const auto listener = listen_tcp(lab.client(), any, 8080);
        const auto before = lab.refused("private");
        const auto socket = traffic.begin(SOCK_STREAM, Endpoint::of(at, 8080));
        const auto deadline = boot_now() + kPatience;
        while (lab.refused("private") == before && boot_now() < deadline) {
        }
        CHECK(lab.refused("private") > before);
        CHECK_FALSE(wait_for_socket(listener.get(), POLLIN, boot_now()));
    }
}

TEST_CASE("egress: the path MTU that the router itself or one behind it reports reaches the service's connection") {
    const Traffic traffic;
    const Lab& lab = *traffic.lab;
    const auto here = NetNs::current();
    REQUIRE(here);
    REQUIRE(ip_batch(*here, "link set wan0 mtu 1400\n"));
    for (const auto& side : kOutsides) {
        for (const bool origin : {false, true}) {
            CAPTURE(side.owned);
            CAPTURE(origin);
            const auto listener = listen_tcp(lab.internet(), origin ? side.owned : side.remote, 8443);
            const auto socket = traffic.begin(SOCK_STREAM, Endpoint::of(origin ? side.origin : side.remote, 8443));
            const auto accepted = accept_one(listener.get());
            CHECK(transfer(socket.get(), accepted.get(), 200'000) == 200'000);
            const bool v4 = side.owned == kService4;
            int mtu = 0;
            socklen_t size = sizeof mtu;
            REQUIRE(getsockopt(socket.get(), v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, v4 ? IP_MTU : IPV6_MTU, &mtu,
                               &size) == 0);
            CHECK(mtu == 1400);
        }
    }
}

TEST_CASE("egress: a refusal of the remote host reaches the service at once") {
    const Traffic traffic;
    for (const auto& side : kOutsides) {
        for (const auto& remote : {side.remote, side.origin}) {
            CAPTURE(remote);
            const auto stream = traffic.begin(SOCK_STREAM, Endpoint::of(remote, 9));
            REQUIRE(wait_for_socket(stream.get(), POLLOUT, boot_now() + kPatience));
            int error = 0;
            socklen_t size = sizeof error;
            REQUIRE(getsockopt(stream.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0);
            CHECK(error == ECONNREFUSED);
            const auto datagram = traffic.begin(SOCK_DGRAM, Endpoint::of(remote, 9));
            REQUIRE(send(datagram.get(), "ping", 4, 0) == 4);
            REQUIRE(wait_for_socket(datagram.get(), POLLIN, boot_now() + kPatience));
            char buffer[8];
            CHECK(recv(datagram.get(), buffer, sizeof buffer, 0) == -1);
            CHECK(errno == ECONNREFUSED);
        }
    }
}
