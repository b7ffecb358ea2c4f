// SPDX-License-Identifier: GPL-2.0-only
// What is hard about packets, with a whole router around: left-over sockets, cookies, path MTU, firewalls, tags.
#include <algorithm>

#include "tests/e2e/packets.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

std::uint64_t verdict(const Scene& scene, const std::string& name) {
    const auto verdicts = scene.report().verdicts;
    const auto found = std::ranges::find(verdicts, name, &ReasonCount::reason);
    return found == verdicts.end() ? 0 : found->packets;
}

/// Who answers a request from a port of the test's choice, over the family of `to`.
std::string who_from_port(const NetNs& ns, const Endpoint& to, std::uint16_t port) {
    const HttpResult result = http_get(ns, {.to = to, .from = {IpAddress{}, port}, .to_the_end = true});
    return result.outcome == Outcome::answered ? result.who() : cat(result.who(), ": ", result.error);
}

}  // namespace

TEST_CASE("datapath: a connection from a port whose last connection is in TIME-WAIT goes where it should") {
    Scene scene;
    scene.deploy(web_service());
    const NetNs& client = scene.bed().client(1);
    for (const Endpoint& to : {kWeb, kWeb6}) {
        for (int time = 0; time < 3; ++time) {
            CHECK(who_from_port(client, to, 40'000) == "local");
        }
    }
    scene.ctl({"drain", "web"});
    for (const Endpoint& to : {kWeb, kWeb6}) {
        for (int time = 0; time < 3; ++time) {
            CHECK(who_from_port(client, to, 40'000) == "cloud");
        }
    }
    scene.ctl({"resume", "web"});
    for (const Endpoint& to : {kWeb, kWeb6}) {
        for (int time = 0; time < 3; ++time) {
            CHECK(who_from_port(client, to, 40'000) == "local");
        }
    }
    scene.kill_service("web");
    for (const Endpoint& to : {kWeb, kWeb6}) {
        CHECK(who_from_port(client, to, 40'000) == "cloud");
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("datapath: handshakes by SYN cookie are served") {
    Scene scene;
    scene.deploy(web_service());
    {
        const NetNs service = must(NetNs::open("viscum-web"));
        must(service.inside([] { return set_net_sysctl("ipv4/tcp_syncookies", "2"); }));
        const std::uint64_t before = kernel_counter(service, "netstat", "TcpExt: SyncookiesRecv");
        for (int time = 0; time < 10; ++time) {
            CHECK(scene.web(kWeb) == "local");
            CHECK(scene.web(kWeb6) == "local");
        }
        CHECK(kernel_counter(service, "netstat", "TcpExt: SyncookiesRecv") - before >= 20);
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("datapath: ping reaches the cloud while its address is served locally") {
    Scene scene;
    scene.deploy(web_service());
    const auto echoes = [&] {
        return kernel_counter(scene.bed().cloud(), "snmp", "Icmp: InEchos") +
               kernel_counter(scene.bed().cloud(), "snmp6", "Icmp6InEchos");
    };
    const std::uint64_t before = echoes();
    CHECK(ping(scene.bed().client(1), kWeb.address, kLimit));
    CHECK(ping(scene.bed().client(1), kWeb6.address, kLimit));
    CHECK(echoes() - before == 2);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("datapath: a VLAN-tagged frame passes as it came") {
    Scene scene;
    scene.deploy(web_service());
    {
        const FrameSocket from = must(FrameSocket::open(scene.bed().client(1), "eth0"));
        const FrameSocket to = must(FrameSocket::open(scene.bed().client(2), "eth0"));
        const std::uint64_t before = verdict(scene, "vlan");
        // 802.1Q, VLAN 5, then the beginning of an IPv4 packet for kWeb.
        const std::string inside("\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\x4d\0\x0b\xcb\0\x71\x0a tagged frame", 33);
        must(from.send(std::string(6, '\xff') + from.mac() + std::string("\x81\0\0\x05\x08\0", 6) + inside));
        CHECK(to.receives(inside, kLimit));
        CHECK(eventually(kLimit, [&] { return verdict(scene, "vlan") > before; }));
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("datapath: a firewall as OpenWrt's, that drops what it finds invalid, is no obstacle") {
    Scene scene({.bed = {.firewall = true}});
    auto old = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(old.get().who() == "cloud");
    const auto flow = scene.flow();
    scene.deploy(web_service());
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    CHECK(scene.web(kWeb6) == "local");
    CHECK(http_get(scene.bed().client(1), {.to = kWeb, .path = "/big"}).body.size() == 1024 * 1024);
    CHECK(old.get().who() == "cloud");
    scene.ctl({"drain", "web"});
    CHECK(flow->wait_for("cloud", boot_now(), kLimit));
    scene.ctl({"resume", "web"});
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    check_flow("behind a firewall", flow->stop(), resets_of_changes(3));
    scene.ctl({"remove", "web"});
    CHECK(scene.web() == "cloud");
    CHECK(old.get().who() == "cloud");
    scene.check_no_leak();
}

}  // namespace viscum
