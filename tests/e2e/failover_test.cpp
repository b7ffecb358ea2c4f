// SPDX-License-Identifier: GPL-2.0-only
// The local service is killed, and nobody notices: the cloud answers what it cannot.
#include "tests/scene/scene.h"

namespace viscum {
namespace {

// The first two quick falls of a run are answered by a start at once, the third would hold the service down.
constexpr int kGenerations = 25;
constexpr int kKillsOfEach = 2;

/// The run's shim and the number of its start.
std::pair<std::int64_t, std::uint64_t> start_of(const ServiceReport& report) {
    return {report.pid, report.restarts};
}

/// Kills the service and waits until viscumd has started it again and it is served.
void kill_and_await(const Scene& scene, const std::string& service) {
    const ServiceReport before = scene.status(service);
    scene.kill_service(service);
    CHECK(eventually(kLimit, [&] {
        const ServiceReport now = scene.status(service);
        return start_of(now) != start_of(before) && now.admission == "serve";
    }));
}

}  // namespace

TEST_CASE("failover: over 50 kills of the service every request is answered, locally or by the cloud") {
    Scene scene;
    scene.deploy(web_service());
    const auto v4 = scene.flow(kWeb, 1);
    const auto v6 = scene.flow(kWeb6, 2);
    for (int generation = 0; generation < kGenerations; ++generation) {
        if (generation > 0) {
            scene.ctl({"restart", "web"});
        }
        for (int kill = 0; kill < kKillsOfEach; ++kill) {
            kill_and_await(scene, "web");
        }
    }
    CHECK(v4->wait_for("local", boot_now(), kLimit));
    CHECK(v6->wait_for("local", boot_now(), kLimit));
    // A client has one request under way at the instant of a kill.
    for (const auto& flow : {v4.get(), v6.get()}) {
        const FlowSummary seen = flow->stop();
        check_flow("50 kills", seen, kGenerations * kKillsOfEach);
        CHECK(seen.local > 0);
        CHECK(seen.cloud > 0);
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("failover: a service that falls again and again is left to the cloud for a while") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    kill_and_await(scene, "web");
    kill_and_await(scene, "web");
    const ServiceReport before = scene.status("web");
    scene.kill_service("web");
    CHECK(eventually(kLimit, [&] {
        const ServiceReport now = scene.status("web");
        return start_of(now) != start_of(before) && now.health == "healthy";
    }));
    const ServiceReport held = scene.status("web");
    CHECK(held.admission == "drain");
    CHECK(held.reason.find("held down") != std::string::npos);
    CHECK(scene.web() == "cloud");
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    check_flow("held down", flow->stop(), 3);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

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
