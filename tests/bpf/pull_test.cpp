// SPDX-License-Identifier: GPL-2.0-only
// Frames whose headers the driver left outside of what a program can read directly.
#include <doctest/doctest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/bpf/lab.h"
#include "tests/support/bed.h"

using namespace viscum;

namespace {

/// Sends a frame of more than a page of which only the first `linear` bytes are in the socket buffer's own memory.
bool send_apart(const NetNs& ns, Bytes frame, std::uint16_t linear) {
    const auto sent = ns.inside([&]() -> Status {
        const UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        const int on = 1;
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
        std::array<std::uint16_t, 5> header{0, linear};  // virtio_net_hdr, which C++ cannot read: hdr_len
        std::array<iovec, 2> parts{{{header.data(), sizeof header}, {frame.data(), frame.size()}}};
        msghdr message{};
        message.msg_name = &address;
        message.msg_namelen = sizeof address;
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        if (!fd || setsockopt(fd.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0 ||
            sendmsg(fd.get(), &message, 0) < 0) {
            return errno_error("cannot send");
        }
        return {};
    });
    if (!sent) {
        FAIL_CHECK(sent.error().what);
    }
    return static_cast<bool>(sent);
}

}  // namespace

TEST_CASE("bpf: headers that lie outside of the linear part are found, options and extension headers included") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    REQUIRE(lab->attach());
    const auto here = NetNs::current();
    REQUIRE(here);
    REQUIRE(ip_batch(*here, "link set lan0 mtu 9000\nlink set svc0 mtu 9000\n"));
    REQUIRE(ip_batch(lab->client(), "link set eth0 mtu 9000\n"));
    REQUIRE(ip_batch(lab->namespace_of(0), "link set eth0 mtu 9000\n"));  // 5.10 redirects what fits there
    REQUIRE(lab->apply({lab->rule(kService4, 53, IPPROTO_UDP), lab->rule(kService6, 53, IPPROTO_UDP)}) > 0);
    const std::string payload(6000, 'x');
    Frame plain4 = udp(kClient4, kService4, payload);
    Frame options4 = plain4;
    options4.ip_options = 40;
    const Frame plain6 = udp(kClient6, kService6, payload);
    Frame extended6 = plain6;
    extended6.extensions.assign(6, {IPPROTO_DSTOPTS, 0, 0});
    for (const auto& frame : {plain4, options4, plain6, extended6}) {
        const auto address = frame.destination.text();
        const auto socket = bind_udp(lab->namespace_of(0), address, 53);
        const Bytes bytes = build(frame);
        for (const std::uint16_t linear : {std::uint16_t{14}, std::uint16_t{34}, std::uint16_t{54}, std::uint16_t{66},
                                           std::uint16_t{76}, std::uint16_t{94}}) {
            CAPTURE(address);
            CAPTURE(linear);
            const auto before = lab->verdicts();
            REQUIRE(send_apart(lab->client(), bytes, linear));
            REQUIRE(wait_for_socket(socket.get(), 1, boot_now() + std::chrono::seconds(2)));
            std::string buffer(10'000, '\0');
            CHECK(recv(socket.get(), buffer.data(), buffer.size(), 0) == 6000);
            CHECK(lab->verdicts()[VS_SERVED] == before[VS_SERVED] + 1);
        }
        Frame other = frame;
        other.destination_port = 54;
        const auto before = lab->verdicts();
        REQUIRE(send_apart(lab->client(), build(other), 14));
        const auto deadline = boot_now() + std::chrono::seconds(2);
        while (lab->verdicts()[VS_UNCLAIMED] == before[VS_UNCLAIMED] && boot_now() < deadline) {
        }
        CHECK(lab->verdicts()[VS_UNCLAIMED] > before[VS_UNCLAIMED]);
        CHECK(lab->verdicts()[VS_TRUNCATED] == before[VS_TRUNCATED]);
    }
}
