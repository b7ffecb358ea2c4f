// SPDX-License-Identifier: GPL-2.0-only
// Namespaces of others, what a service may send, and sysctls.
#include <algorithm>
#include <array>

#include "tests/e2e/packets.h"
#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

std::uint64_t verdict(const Scene& scene, const std::string& name) {
    const auto verdicts = scene.report().verdicts;
    const auto found = std::ranges::find(verdicts, name, &ReasonCount::reason);
    return found == verdicts.end() ? 0 : found->packets;
}

std::string sysctl(const NetNs& ns, const std::string& key) {
    return must(output_of({"cat", "/proc/sys/net/" + key}, {.ns = &ns}));
}

void set_sysctl(const NetNs& ns, const std::string& key, const std::string& value) {
    must(ns.inside([&] { return set_net_sysctl(key, value); }));
}

std::string bytes_of(const IpAddress& address) {
    return {reinterpret_cast<const char*>(address.wire()), 4};
}

std::string big_endian(unsigned number) {
    return {static_cast<char>(number >> 8 & 0xff), static_cast<char>(number & 0xff)};
}

/// RFC 1071.
std::string checksum(const std::string& bytes) {
    unsigned sum = 0;
    for (std::size_t index = 0; index + 1 < bytes.size(); index += 2) {
        sum += static_cast<unsigned char>(bytes[index]) * 256U + static_cast<unsigned char>(bytes[index + 1]);
    }
    return big_endian(~((sum & 0xffff) + (sum >> 16)));
}

/// An Ethernet frame with a TCP segment of no socket: PSH and ACK, as if a connection were there.
std::string forged_segment(const std::string& from_mac, const Endpoint& from, const Endpoint& to,
                           const std::string& payload) {
    const std::string tcp = big_endian(from.port) + big_endian(to.port) + std::string("\1\1\1\1\2\2\2\2\x50\x18", 10) +
                            big_endian(8192) + std::string(4, '\0') + payload;
    const std::string addresses = bytes_of(from.address) + bytes_of(to.address);
    const std::string head = std::string("\x45\0", 2) + big_endian(static_cast<unsigned>(20 + tcp.size())) +
                             std::string("\0\1\0\0\x40\6", 6);
    return std::string(6, '\xff') + from_mac + std::string("\x08\0", 2) + head +
           checksum(head + std::string(2, '\0') + addresses) + addresses + tcp;
}

}  // namespace

TEST_CASE("ownership: a foreign namespace of a service's name stays as it is, and the deploy says so") {
    Scene scene;
    const auto make = [&](const std::string& name) {
        must(output_of({"ip", "netns", "add", name}, {.ns = &scene.bed().hotspot()}));
        must(output_of({"ip", "-n", name, "link", "add", "theirs", "type", "veth", "peer", "name", "theirs2"},
                       {.ns = &scene.bed().hotspot()}));
    };
    const auto is_refused = [&](const std::string& version) {
        const Snapshot before = must(take_snapshot());
        const RunOutput output = scene.deploy(web_service(version), 4);
        CHECK(output.err.find("not ours") != std::string::npos);
        CHECK(join(must(leaks_since(before, kLimit, is_probe)), "\n") == "");
    };
    make("viscum-web");
    const ino_t inode = must(NetNs::open("viscum-web")).inode();
    is_refused("1");
    CHECK(scene.web() == "cloud");
    scene.ctl({"remove", "web"}, 6);
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(must(NetNs::open("viscum-web")).inode() == inode);
    must(remove_net_ns_name("viscum-web"));

    scene.deploy(web_service("1"));
    make("viscum-web.1");
    is_refused("2");
    CHECK(scene.web() == "local");
    scene.ctl({"remove", "web"});
    CHECK(NetNs::open("viscum-web.1"));
    must(remove_net_ns_name("viscum-web.1"));
    scene.check_no_leak();
}

TEST_CASE("fence: a segment that no socket of the service sent gets nowhere") {
    Scene scene;
    scene.deploy(web_service());
    {
        const auto raw = must(FrameSocket::open(must(NetNs::open("viscum-web")), "eth0"));
        const auto at_client = must(FrameSocket::open(scene.bed().client(1), "eth0"));
        const auto at_cloud = must(FrameSocket::open(scene.bed().cloud(), "wan"));
        CHECK(scene.web() == "local");
        CHECK(scene.web(Endpoint::of("203.0.113.20", 80)) == "cloud");
        // What may be sent is seen.
        CHECK(at_client.receives("local", 1s));
        CHECK(at_cloud.receives("GET /", 1s));
        const std::string mark = "made up by hand";
        const std::uint64_t before = verdict(scene, "fence-new-flow");
        const std::array targets = {Endpoint{scene.bed().client_address(1), 40'000}, Endpoint::of("192.0.2.2", 40'000),
                                    Endpoint::of("203.0.113.20", 80)};
        for (const Endpoint& to : targets) {
            must(raw.send(forged_segment(raw.mac(), kWeb, to, mark)));
        }
        CHECK(eventually(kLimit, [&] { return verdict(scene, "fence-new-flow") >= before + targets.size(); }));
        CHECK_FALSE(at_client.receives(mark, 100ms));
        CHECK_FALSE(at_cloud.receives(mark, 500ms));
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("repair: sysctls that are not as a service needs them are right again after a start of viscumd") {
    Scene scene;
    scene.deploy(web_service());
    const std::string forwarding = cat("ipv4/conf/", scene.status("web").link, "/forwarding");
    const std::string forwarding6 = cat("ipv6/conf/", scene.status("web").link, "/forwarding");
    constexpr const char* kFirstPort = "ipv4/ip_unprivileged_port_start";
    const pid_t process = scene.processes_of("web").front();
    {
        const NetNs inside = must(NetNs::open("viscum-web"));
        scene.viscumd().kill();
        set_sysctl(inside, kFirstPort, "1024");
        set_sysctl(scene.bed().hotspot(), forwarding, "0");
        set_sysctl(scene.bed().hotspot(), forwarding6, "0");
        must(scene.viscumd().start_again());
        CHECK(sysctl(inside, kFirstPort) == "0\n");
    }
    CHECK(sysctl(scene.bed().hotspot(), forwarding) == "1\n");
    CHECK(sysctl(scene.bed().hotspot(), forwarding6) == "1\n");
    CHECK(scene.processes_of("web").front() == process);
    CHECK(scene.web(kWeb) == "local");
    CHECK(scene.web(kWeb6) == "local");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
