// SPDX-License-Identifier: GPL-2.0-only
// The local service is killed, and nobody notices: the cloud answers what it cannot.
#include "tests/scene/scene.h"

namespace viscum {

TEST_CASE("failover: a query after the death of the name server is answered by the cloud, on the same socket") {
    Scene scene;
    scene.start_in_cloud(dnsmasq("cloud", ""), 53);
    const ServiceFile file{"dns",
                           {"203.0.113.53 53 udp", "203.0.113.53 53"},
                           must(dnsmasq("local", "")).command,
                           "restart: { policy: never }\n"};
    scene.deploy(file);
    const UdpRequest request{.to = kDns, .payload = dns_txt_query("who.example")};
    const auto who = [](const UdpResult& result) {
        return result.answered ? dns_txt_answer(result.reply) : result.error;
    };
    std::vector<UdpFlow> sockets;
    for (int number = 0; number < 10; ++number) {
        sockets.push_back(must(UdpFlow::open(scene.bed().client(1), request)));
        CHECK(who(sockets.back().query()) == "local");
    }
    scene.kill_service("dns");
    for (UdpFlow& socket : sockets) {
        const UdpResult result = socket.query();
        CHECK(who(result) == "cloud");
        CHECK(result.source == kDns);
    }
    scene.ctl({"remove", "dns"});
    scene.check_no_leak();
}

TEST_CASE("failover: a speed test measures the way to the hotspot, and without the service the way to the cloud") {
    Scene scene;
    const Endpoint speed = Endpoint::of("203.0.113.20", 5201);
    scene.start_in_cloud(iperf3_server(""), 5201);
    const ServiceFile file{"speed",
                           {"203.0.113.20 5201", "203.0.113.20 5201 udp"},
                           must(iperf3_server("")).command,
                           "health: { process: {} }\nrestart: { policy: never }\n"};
    scene.deploy(file);
    const std::uint64_t uplink = must(scene.bed().uplink_bytes());
    for (const bool udp : {false, true}) {
        CHECK(eventually(kLimit, [&] { return bool(measure_speed(scene.bed().client(1), speed, udp, 1)); }));
    }
    CHECK(must(scene.bed().uplink_bytes()) - uplink < 100'000);
    scene.kill_service("speed");
    CHECK(measure_speed(scene.bed().client(1), speed, false, 1));
    CHECK(must(scene.bed().uplink_bytes()) - uplink > 100'000);
    scene.ctl({"remove", "speed"});
    scene.check_no_leak();
}

}  // namespace viscum
