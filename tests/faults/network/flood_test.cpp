// SPDX-License-Identifier: GPL-2.0-only
// A flood of SYNs at one service: bounded in number, and within the bed.
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/e2e/packets.h"
#include "tests/faults/network/faults.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr int kSyns = 50'000;
constexpr int kSources = 256;  // clients that do not exist: each costs the router a neighbour
const Endpoint kOther = Endpoint::of("203.0.113.20", 80);

/// The Internet checksum (RFC 1071) of bytes in network byte order, continued from `sum`.
std::uint32_t add_up(std::uint32_t sum, const void* data, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t at = 0; at + 1 < size; at += 2) {
        sum += static_cast<std::uint32_t>(bytes[at]) << 8 | bytes[at + 1];
    }
    return sum;
}

std::uint16_t folded(std::uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return htons(static_cast<std::uint16_t>(~sum));
}

/// An IPv4 packet with a SYN and the option of a segment size, as a client's.
std::array<unsigned char, 44> syn(std::uint32_t source_be, std::uint16_t port_be, std::uint32_t sequence,
                                  const Endpoint& to) {
    std::array<unsigned char, 44> packet{};
    packet[0] = 0x45;
    packet[3] = packet.size();
    packet[8] = 64;
    packet[9] = IPPROTO_TCP;
    std::memcpy(&packet[12], &source_be, 4);
    std::memcpy(&packet[16], to.address.wire(), 4);
    tcphdr head{};
    head.source = port_be;
    head.dest = htons(to.port);
    head.seq = sequence;
    head.doff = 6;
    head.syn = 1;
    head.window = htons(64'000);
    std::memcpy(&packet[20], &head, sizeof head);
    packet[40] = TCPOPT_MAXSEG;
    packet[41] = TCPOLEN_MAXSEG;
    packet[42] = 1460 >> 8;
    packet[43] = 1460 & 0xff;
    const std::uint32_t pseudo = add_up(IPPROTO_TCP + 24U, &packet[12], 8);
    const std::uint16_t sum = folded(add_up(pseudo, &packet[20], 24));
    std::memcpy(&packet[36], &sum, 2);
    return packet;
}

/// Sends them from `ns`; how many the kernel took.
int flood(const NetNs& ns, const Endpoint& to) {
    UniqueFd raw;
    must(ns.inside([&]() -> Status {
        raw.reset(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
        return raw ? Status{} : Status{errno_error("cannot open a raw socket")};
    }));
    std::mt19937 dice(campaign_seed());
    const SocketAddress address = to_sockaddr({to.address, 0});
    int sent = 0;
    for (int number = 0; number < kSyns; ++number) {
        const auto source = htonl(0x0a4dc800U + static_cast<std::uint32_t>(number % kSources));  // 10.77.200.0/24
        const auto packet = syn(source, static_cast<std::uint16_t>(dice()), static_cast<std::uint32_t>(dice()), to);
        const auto took = sendto(raw.get(), packet.data(), packet.size(), 0, address.get(), address.length);
        sent += took == static_cast<ssize_t>(packet.size()) ? 1 : 0;
    }
    return sent;
}

ServiceFile other_service() {
    const Server server = must(nginx("other", "local", {"80"}));
    return {"other", {"203.0.113.20 80"}, server.command, quick_health()};
}

}  // namespace

TEST_CASE("fault 27: a flood of SYNs at one service fails no client of another, and its own are served by cookies") {
    Scene scene;
    scene.deploy(web_service());
    scene.deploy(other_service());
    const NetNs flooded = must(NetNs::open("viscum-web"));
    must(flooded.inside([] { return set_net_sysctl("ipv4/tcp_syncookies", "1"); }));
    const Snapshot before = must(take_snapshot());
    const auto other = steady_flow(scene, kOther, 2);
    const auto own = steady_flow(scene, kWeb, 2);
    CHECK(other->wait_for("local", boot_now(), kLimit));
    const BootTime begin = boot_now();
    const int sent = flood(scene.bed().client(1), kWeb);
    const auto took = std::chrono::duration<double>(boot_now() - begin).count();
    // While its queue is full of what will never be finished.
    CHECK(own->wait_for("local", boot_now(), kLimit));
    CHECK(http_get(scene.bed().client(1), {.to = kWeb}).who() == "local");
    const auto cookies = kernel_counter(flooded, "netstat", "TcpExt: SyncookiesSent");
    const auto passed = kernel_counter(flooded, "netstat", "TcpExt: SyncookiesRecv");
    const auto full = kernel_counter(flooded, "netstat", "TcpExt: TCPReqQFullDoCookies");
    MESSAGE(sent, " SYNs in ", took, " s; full ", full, ", cookies sent ", cookies, ", come back ", passed);
    CHECK(sent == kSyns);
    CHECK(full > 0);
    CHECK(cookies > 0);
    CHECK(passed > 0);
    const FlowSummary others = other->stop();
    const FlowSummary owns = own->stop();
    check_flow("clients of another service during the flood", others);
    CHECK(others.cloud == 0);
    MESSAGE("clients of the flooded one: ", owns.text());
    CHECK(owns.failed == 0);
    CHECK(scene.status("web").admission == "serve");
    CHECK(scene.status("web").restarts == 0);
    must(record({.part = "syn-flood",
                 .title = "A flood of SYNs from clients that do not exist",
                 .repeat = "ctest -R 'fault 27'",
                 .values = {{"SYNs sent", cat(sent, " in ", static_cast<int>(took * 1000), " ms")},
                            {"cookies sent / come back", cat(cookies, " / ", passed)},
                            {"another service: requests, failed, reset",
                             cat(others.requests, ", ", others.failed, ", ", others.resets)},
                            {"the flooded one: requests, failed, reset",
                             cat(owns.requests, ", ", owns.failed, ", ", owns.resets)}}}));
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "web", "--wait", "1s"});  // what is half open would be waited for
    scene.ctl({"remove", "other"});
    scene.check_no_leak();
}

}  // namespace viscum
