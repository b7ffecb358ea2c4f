// SPDX-License-Identifier: GPL-2.0-only
// What the classic grade does otherwise. That it serves at all is the same tests' as for the other grade: they run once
// more with VISCUM_DATAPATH=classic.
#include <memory>

#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

Scene::Options classic() {
    return {.bed = {.firewall = true}, .config_lines = "lan: [br-lan]\ndatapath: classic\n"};
}

std::string tc(Scene& scene, const std::string& device) {
    return must(output_of({"tc", "filter", "show", "dev", device, "ingress"}, {.ns = &scene.bed().hotspot()}));
}

}  // namespace

TEST_CASE("classic: status says which grade it is and why, and there is neither a program nor a lease") {
    Scene scene(classic());
    scene.deploy(web_service());
    CHECK(scene.web() == "local");
    const DaemonReport report = scene.report();
    CHECK(report.grade == "classic");
    CHECK(report.grade_reason == "viscum.yaml says `datapath: classic`");
    CHECK(report.lease_ms_left == -1);
    CHECK(scene.ctl({"status"}).out.find("classic: viscum.yaml says") != std::string::npos);
    CHECK(tc(scene, "lan1").find("u32") != std::string::npos);
    CHECK(tc(scene, "lan1").find("bpf") == std::string::npos);
    CHECK(scene.viscumd().log().find("libbpf") == std::string::npos);
    CHECK(scene.ctl({"status"}).out.find("none in this grade") != std::string::npos);
    const RunOutput doctor = scene.ctl({"doctor"});
    CHECK(doctor.out.find("grade classic") != std::string::npos);
    CHECK(doctor.out.find("could do better than the classic grade (no egress, no lease") != std::string::npos);
    const ServiceReport web = scene.status("web");
    REQUIRE_FALSE(web.claims.empty());
    CHECK(web.claims.front().packets_in > 0);
    CHECK(web.claims.front().packets_out > 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("classic: a service that asks for egress is refused, and the reason named") {
    Scene scene(classic());
    ServiceFile file = web_service();
    file.more = "egress: internet\n";
    const RunOutput output = scene.deploy(file, 5);
    CHECK(output.err.find("'egress' needs the grade socket") != std::string::npos);
    CHECK(scene.web() == "cloud");
    scene.check_no_leak();
}

TEST_CASE("classic: a service that ends gives its traffic to the cloud, or to nobody where it may not leave the site") {
    Scene scene(classic());
    ServiceFile file = web_service();
    file.more = "restart: { policy: never }\n";
    scene.deploy(file);
    CHECK(scene.web() == "local");
    scene.kill_service("web");
    CHECK(eventually(kLimit, [&] { return scene.web() == "cloud" && scene.web(kWeb6) == "cloud"; }));
    file.more = "restart: { policy: never }\non_failure: drop\n";
    scene.deploy(file);
    CHECK(scene.web() == "local");
    scene.kill_service("web");
    CHECK(eventually(kLimit, [&] { return scene.status("web").state == "failed"; }));
    for (const Endpoint& to : {kWeb, kWeb6}) {
        CHECK(http_get(scene.bed().client(1), {.to = to, .limit = 300ms}).who() == "timed out");
    }
    scene.ctl({"remove", "web"});
    CHECK(scene.web() == "cloud");
    scene.check_no_leak();
}

TEST_CASE("classic: a datagram in fragments goes to the cloud, whole, and a small one is served") {
    Scene scene(classic());
    scene.start_in_cloud(
        Server{test_server({"cloud", "udp", "203.0.113.10", "7000", "tcp", "203.0.113.10", "7000"}), ""}, 7000);
    scene.deploy(test_service("echo", {"203.0.113.10 7000 udp"}, {"local", "udp", "0.0.0.0", "7000"}));
    const auto asked = [&](std::size_t size) {
        const UdpResult result = udp_query(
            scene.bed().client(1), {.to = Endpoint::of("203.0.113.10", 7000), .payload = std::string(size, 'x')});
        return result.answered ? result.reply.substr(0, result.reply.find(' ')) : result.error;
    };
    CHECK(asked(10) == "local");
    CHECK(asked(4000) == "cloud");
    scene.ctl({"remove", "echo"});
    scene.check_no_leak();
}

TEST_CASE("classic: of LAN devices with several MACs those of one are served, and the others are told of") {
    Scene scene({.bed = {.bridge = false, .firewall = true}, .config_lines = "lan: ['lan*']\ndatapath: classic\n"});
    scene.deploy(web_service());
    std::size_t told = 0;
    std::size_t served = 0;
    for (const LanReport& lan : scene.report().lan) {
        told += lan.problem.find("devices of one MAC") != std::string::npos ? 1U : 0U;
        served += lan.attached ? 1U : 0U;
    }
    CHECK(told == 1);
    CHECK(served == 1);
    std::vector<std::string> answers = {scene.web(kWeb, 1), scene.web(kWeb, 2)};
    std::ranges::sort(answers);
    CHECK(answers == std::vector<std::string>{"cloud", "local"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("classic: what another tool takes of the filters is back, and a service's client is asked for") {
    Scene scene(classic());
    scene.deploy(web_service());
    for (const std::string& device : {std::string("lan1"), scene.status("web").link}) {
        const std::string before = tc(scene, device);
        must(output_of({"tc", "qdisc", "del", "dev", device, "clsact"}, {.ns = &scene.bed().hotspot()}));
        CHECK(eventually(kLimit, [&] { return tc(scene, device).size() >= before.size() / 2; }));
        CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("classic: another grade at the next start takes what runs along") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(scene.web() == "local");
    const auto process = scene.status("web").pid;
    for (const char* grade : {"classic", "socket", "classic", "auto"}) {
        CAPTURE(grade);
        scene.write_config(cat("lan: [br-lan]\ndatapath: ", grade, "\n"));
        scene.viscumd().kill();
        must(scene.viscumd().start_again());
        CHECK(scene.report().grade == (std::string(grade) == "classic" ? "classic" : "socket"));
        CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
        CHECK(scene.web(kWeb6) == "local");
        CHECK(scene.status("web").pid == process);
        CHECK((tc(scene, "lan1").find("bpf") == std::string::npos) == (std::string(grade) == "classic"));
        CHECK((tc(scene, "lan1").find("u32") != std::string::npos) == (std::string(grade) == "classic"));
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("classic: a start of viscumd takes nothing away, though a flow that was kept has ended meanwhile") {
    Scene scene(classic());
    auto ended = std::make_unique<KeptConnection>(must(KeptConnection::open(scene.bed().client(2), {.to = kWeb})));
    CHECK(ended->get().who() == "cloud");
    scene.deploy(web_service());
    CHECK(ended->get().who() == "cloud");
    CHECK(scene.web() == "local");
    auto open = must(KeptConnection::open(scene.bed().client(2), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    scene.viscumd().kill();
    ended.reset();
    const auto flow = scene.flow(kWeb);
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    must(scene.viscumd().start_again());
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    const FlowSummary summary = flow->stop();
    check_flow("a start of viscumd", summary, 0);
    CHECK(summary.local == summary.requests);
    CHECK(open.get().who() == "local");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("classic: a LAN that loses its address for a moment is served on") {
    Scene scene(classic());
    scene.deploy(web_service());
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    must(ip_batch(scene.bed().hotspot(), "address del 10.77.0.1/16 dev br-lan\n"));
    // A later deploy stands only after viscumd has read the kernel's news, and has done what follows from it.
    scene.deploy(test_service("later", {"198.51.100.30 8000"}, {"later", "tcp", "0.0.0.0", "8000"}));
    CHECK(scene.web() == "local");
    CHECK(open.get().who() == "local");
    must(ip_batch(scene.bed().hotspot(), "address add 10.77.0.1/16 dev br-lan\n"));
    CHECK(scene.web() == "local");
    scene.ctl({"remove", "later"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("classic: claims for which there is no room are told of, and the others are served and can be drained") {
    Scene scene(classic());
    scene.deploy(web_service());
    std::vector<std::string> claims;
    for (int host = 1; host <= 26; ++host) {  // 30 filters each, and 768 have room
        claims.push_back(cat("198.51.100.", host, " 2-65534"));
    }
    const ServiceFile file = test_service("many", claims, {"many", "tcp", "0.0.0.0", "8000"});
    const RunOutput output = scene.ctl({"deploy", file.write(), "--wait", "3s"}, 4);
    CHECK(output.err.find("the classic grade has room for 768") != std::string::npos);
    CHECK(scene.web() == "local");
    scene.ctl({"drain", "web"});
    CHECK(scene.web() == "cloud");
    scene.ctl({"resume", "web"});
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE(
    "classic: where a network comes later and room ends, it is told which claims the cloud serves until it goes") {
    Scene scene(classic());
    scene.deploy(web_service());
    std::vector<std::string> claims;
    for (int host = 1; host <= 20; ++host) {  // 30 filters each and network: 768 have room, 1,024 with a network more
        claims.push_back(cat("198.51.100.", host, " 2-65534"));
    }
    scene.deploy(test_service("many", claims, {"many", "tcp", "0.0.0.0", "8000"}));
    CHECK(scene.ctl({"status"}).out.find("no room") == std::string::npos);
    must(ip_batch(scene.bed().hotspot(), "address add 10.78.0.1/16 dev br-lan\n"));
    CHECK(eventually(kLimit,
                     [&] { return scene.ctl({"status"}).out.find("there is no room for ") != std::string::npos; }));
    CHECK(eventually(kLimit,
                     [&] { return scene.ctl({"events"}).out.find("there is no room for ") != std::string::npos; }));
    CHECK(scene.ctl({"doctor"}).out.find("there is no room for ") != std::string::npos);
    CHECK(scene.web() == "cloud");  // its claim is the last of them by address
    must(ip_batch(scene.bed().hotspot(), "address del 10.78.0.1/16 dev br-lan\n"));
    CHECK(eventually(kLimit, [&] { return scene.ctl({"status"}).out.find("no room") == std::string::npos; }));
    CHECK(scene.web() == "local");
    scene.ctl({"remove", "many"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
