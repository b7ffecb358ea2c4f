// SPDX-License-Identifier: GPL-2.0-only
// vs_service: replies leave, and nothing else does.
#include <doctest/doctest.h>
#include <poll.h>

#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"
#include "tests/support/bed.h"

using namespace viscum;

namespace {

/// A lab that serves TCP port 80 and UDP port 53 of both addresses of a family, and one UDP flow to each address.
struct Fence {
    explicit Fence(const Family& family) : lab(Lab::make()) {
        REQUIRE(lab);
        for (const auto& address : {family.service, family.other_service}) {
            rules.push_back(lab->rule(address, 80));
            rules.push_back(lab->rule(address, 53, IPPROTO_UDP));
            rules.back().several_addresses = true;
            sockets.push_back(listen_tcp(lab->namespace_of(0), address, 80));
            sockets.push_back(bind_udp(lab->namespace_of(0), address, 53));
        }
        REQUIRE(lab->apply(rules) > 0);
    }
    [[nodiscard]] RuleCounters udp_counters(int address) const {
        return lab->counters(rules[static_cast<std::size_t>(address * 2 + 1)]);
    }

    std::unique_ptr<Lab> lab;
    std::vector<Rule> rules;
    std::vector<UniqueFd> sockets;
};

bool leaves_for_client(const Outcome& outcome) {
    return outcome.text == "redirect: replied" &&
           std::equal(kClientMac.begin(), kClientMac.end(), outcome.frame.begin()) &&
           std::equal(kRouterMac.begin(), kRouterMac.end(), outcome.frame.begin() + 6);
}

Bytes without_macs(const Bytes& frame) {
    return {frame.begin() + 12, frame.end()};
}

}  // namespace

TEST_CASE("bpf: a reply goes to the client's device, with its MACs and otherwise unchanged") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        Frame reply = turned(tcp(family.client, family.service, kSyn | kAck));
        reply.payload.assign(33, 'x');
        const Bytes sent = build(reply);
        const auto outcome = fence.lab->service(sent);
        CHECK(leaves_for_client(outcome));
        CHECK(without_macs(outcome.frame) == without_macs(sent));
        CHECK(checksums_right(outcome.frame));
        const auto counters = fence.lab->counters(fence.rules[0]);
        CHECK(counters.packets_out == 1);
        CHECK(counters.bytes_out == sent.size() - 14);
        CHECK(fence.lab->service(turned(tcp(family.client, family.service, kRst))).text == "redirect: replied");
    }
}

TEST_CASE("bpf: a segment that no socket of the service sent is dropped") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        for (const int flags : {kAck, kFin | kAck, kAck | kEce, kRst | kAck, int{kRst}}) {
            Frame made_up = turned(tcp(family.client, family.service, flags));
            made_up.payload.assign(33, 'x');
            CHECK(fence.lab->service(made_up).text == "drop: fence-new-flow");
        }
    }
}

TEST_CASE("bpf: what a service may not send is dropped, under its own name") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        Lab& lab = *fence.lab;
        const Frame reply = turned(tcp(family.client, family.service, kAck));
        Frame frame = reply;
        frame.flags = kSyn;
        CHECK(lab.service(frame).text == "drop: fence-new-flow");
        frame.flags = kSyn | kEce | kCwr;
        CHECK(lab.service(frame).text == "drop: fence-new-flow");
        frame = reply;
        frame.source_port = 81;
        CHECK(lab.service(frame).text == "drop: fence-source");
        frame = reply;
        frame.source = tcp(family.client, family.client, 0).source;
        CHECK(lab.service(frame).text == "drop: fence-source");
        CHECK(lab.service(reply, 1).text == "drop: fence-source");  // through another service's link
        CHECK(lab.service(turned(udp(family.client, family.service))).text == "drop: fence-new-flow");
        CHECK(lab.service(icmp_echo_request(family.service, family.client)).text == "drop: fence-protocol");
        CHECK(lab.service(icmp_error(udp(family.service, family.client), 3, 3)).text == "drop: fence-protocol");
        frame = reply;
        frame.tags = {0x8100};
        CHECK(lab.service(frame).text == "drop: fence-protocol");
        frame = reply;
        frame.protocol = IPPROTO_SCTP;
        CHECK(lab.service(frame).text == "drop: fence-protocol");
        Bytes bytes = build(reply);
        bytes.pop_back();
        CHECK(lab.service(bytes).text == "drop: fence-protocol");
        bytes = build(reply);
        bytes[12] = 0x08;
        bytes[13] = 0x06;
        CHECK(lab.service(bytes).text == "drop: fence-protocol");
        CHECK(lab.counters(fence.rules[0]).packets_out == 0);
    }
}

TEST_CASE("bpf: a reset that answers a SYN stays here, and any other reset is sent") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        Frame reset = turned(tcp(family.client, family.service, kRst | kAck));
        reset.sequence = 0;
        CHECK(fence.lab->service(reset).text == "drop: fence-refusal");
        reset.sequence = 1;
        CHECK(fence.lab->service(reset).text == "redirect: replied");
        reset.sequence = 0;
        reset.flags = kRst;
        CHECK(fence.lab->service(reset).text == "redirect: replied");
    }
}

TEST_CASE("bpf: a datagram of the service's leaves only as the answer to a flow that is ours") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        Lab& lab = *fence.lab;
        const Frame question = udp(family.client, family.service);
        const Frame answer = turned(question);
        CHECK(lab.service(answer).text == "drop: fence-new-flow");
        CHECK(lab.lan(question).text == "redirect: served");
        const auto outcome = lab.service(answer);
        CHECK(leaves_for_client(outcome));
        CHECK(without_macs(outcome.frame) == without_macs(build(answer)));
        Frame other = answer;
        other.destination_port = 40001;
        CHECK(lab.service(other).text == "drop: fence-new-flow");
        fence.sockets.clear();
        CHECK(lab.lan(question).text == "pass: no-listener");
        CHECK(lab.service(answer).text == "drop: fence-new-flow");
        CHECK(fence.udp_counters(0).packets_out == 1);
    }
}

TEST_CASE("bpf: an answer from the wrong one of several addresses is corrected, checksums included") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        Lab& lab = *fence.lab;
        for (std::uint16_t port = 40000; port < 40200; ++port) {
            Frame question = udp(family.client, family.other_service);
            question.source_port = port;
            REQUIRE(lab.lan(question).text == "redirect: served");
            const Frame right = turned(question);
            Frame wrong = right;
            wrong.source = udp(family.service, family.client).source;
            const auto outcome = lab.service(wrong);
            REQUIRE(leaves_for_client(outcome));
            REQUIRE(without_macs(outcome.frame) == without_macs(build(right)));
            REQUIRE(checksums_right(outcome.frame));
        }
        CHECK(fence.udp_counters(1).packets_out == 200);
        CHECK(fence.udp_counters(0).packets_out == 0);
    }
}

TEST_CASE("bpf: a corrected answer never gets the checksum that means none, and one without stays without") {
    Fence fence(kFamilies[0]);
    const Family& family = kFamilies[0];
    Frame question = udp(family.client, family.other_service);
    REQUIRE(fence.lab->lan(question).text == "redirect: served");
    int all_ones = 0;
    for (int value = 0; value < 65536 && all_ones == 0; ++value) {
        Frame right = turned(question);
        right.payload = {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
        const Bytes expected = build(right);
        if (expected[40] != 0xff || expected[41] != 0xff) {
            continue;
        }
        ++all_ones;
        Frame wrong = right;
        wrong.source = udp(family.service, family.client).source;
        const auto outcome = fence.lab->service(wrong);
        CHECK(without_macs(outcome.frame) == without_macs(expected));
        Bytes none = build(wrong);
        none[40] = none[41] = 0;
        const auto left = fence.lab->service(none);
        CHECK(leaves_for_client(left));
        CHECK(left.frame[40] == 0);
        CHECK(left.frame[41] == 0);
        CHECK(checksums_right(left.frame));
    }
    CHECK(all_ones == 1);
}

TEST_CASE("bpf: a corrected answer in fragments is corrected in each") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        Frame question = udp(family.client, family.other_service);
        REQUIRE(fence.lab->lan(question).text == "redirect: served");
        Frame right = turned(question);
        right.payload.assign(150, 'a');
        Frame wrong = right;
        wrong.source = udp(family.service, family.client).source;
        const auto expected = build_fragments(right, 77, 64);
        const auto sent = build_fragments(wrong, 77, 64);
        for (std::size_t i = 0; i < sent.size(); ++i) {
            CAPTURE(i);
            const auto outcome = fence.lab->service(sent[i]);
            CHECK(leaves_for_client(outcome));
            // The L4 checksum is over other fragments, too: compare with that of the whole.
            CHECK(without_macs(outcome.frame) == without_macs(expected[i]));
        }
    }
}

TEST_CASE("bpf: a reply to a client without route, or too long for the way to it, is dropped") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        const bool v4 = family.client == kClient4;
        Frame reply = turned(tcp(v4 ? "192.0.2.77" : "2001:db8:ffff::1", family.service, kSyn | kAck));
        CHECK(fence.lab->service(reply).text == "drop: fence-no-route");
        const auto here = NetNs::current();
        REQUIRE(here);
        REQUIRE(ip_batch(*here, "link set lan0 mtu 1400\n"));
        reply = turned(tcp(family.client, family.service, kSyn | kAck));
        reply.payload.assign(1420, 'x');
        CHECK(fence.lab->service(reply).text == "drop: fence-too-long");
        reply.payload.assign(1300, 'x');
        CHECK(fence.lab->service(reply).text == "redirect: replied");
    }
}

TEST_CASE("bpf: a reply to a client whose MAC is not known is sent once the neighbour has answered") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        REQUIRE(fence.lab->attach());
        const bool v4 = family.client == kClient4;
        const std::string client = v4 ? "10.77.0.10" : "2001:db8:77::10";
        const auto here = NetNs::current();
        REQUIRE(here);
        REQUIRE(ip_batch(*here, "neighbor del " + client + " dev lan0\n"));
        const auto to = Endpoint::of(family.service, 53);
        const auto socket = open_socket(fence.lab->client(), SOCK_DGRAM, to, {});
        REQUIRE(socket);
        const auto address = to_sockaddr(to);
        REQUIRE(sendto(socket->get(), "ping", 4, 0, address.get(), address.length) == 4);
        const int service = fence.sockets[1].get();
        REQUIRE(wait_for_socket(service, POLLIN, boot_now() + std::chrono::seconds(2)));
        char buffer[16];
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        REQUIRE(recvfrom(service, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size) == 4);
        REQUIRE(sendto(service, "pong!", 5, 0, reinterpret_cast<sockaddr*>(&from), size) == 5);
        REQUIRE(wait_for_socket(socket->get(), POLLIN, boot_now() + std::chrono::seconds(3)));
        CHECK(recv(socket->get(), buffer, sizeof buffer, 0) == 5);
    }
}

TEST_CASE("bpf: a real server on a wildcard socket answers from the address that was asked") {
    for (const auto& family : kFamilies) {
        Fence fence(family);
        REQUIRE(fence.lab->attach());
        fence.sockets.clear();
        const auto server = bind_udp(fence.lab->namespace_of(0), family.any, 53);
        for (const auto& asked : {family.service, family.other_service}) {
            const auto to = Endpoint::of(asked, 53);
            const auto socket = open_socket(fence.lab->client(), SOCK_DGRAM, to, {});
            REQUIRE(socket);
            const auto address = to_sockaddr(to);
            REQUIRE(connect(socket->get(), address.get(), address.length) == 0);  // takes answers from there alone
            REQUIRE(send(socket->get(), "ping", 4, 0) == 4);
            REQUIRE(wait_for_socket(server.get(), POLLIN, boot_now() + std::chrono::seconds(2)));
            char buffer[16];
            sockaddr_storage from{};
            socklen_t size = sizeof from;
            REQUIRE(recvfrom(server.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size) == 4);
            REQUIRE(sendto(server.get(), "pong!", 5, 0, reinterpret_cast<sockaddr*>(&from), size) == 5);
            CHECK(wait_for_socket(socket->get(), POLLIN, boot_now() + std::chrono::seconds(2)));
            CHECK(recv(socket->get(), buffer, sizeof buffer, MSG_DONTWAIT) == 5);
        }
    }
}
