// SPDX-License-Identifier: GPL-2.0-only
// Who may claim what, and what becomes of a service whose file or permission is not there for a while.
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "netns/net_ns.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr std::uint16_t kPort = 7000;
const Endpoint kEcho = Endpoint::of("203.0.113.53", kPort);

ServiceFile echo_service(const std::string& name, std::vector<std::string> claims) {
    ServiceFile file = test_service(name, std::move(claims), {"local", "udp", "0.0.0.0", "7000"});
    file.more = "health: { process: {} }\n";
    return file;
}

/// An update that never gets healthy.
ServiceFile hopeless(const std::string& name, std::vector<std::string> claims) {
    return {name, std::move(claims), {"/usr/bin/sleep", "1000"}, "health: { tcp: { port: 80 } }\n"};
}

std::string services_file(Scene& scene, const std::string& service) {
    return cat(scene.viscumd().instance().services_dir(), "/", service, ".yaml");
}

void reload(Scene& scene) {
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
}

/// viscum.yaml that permits other addresses than Scene's.
void permit_only(Scene& scene, const std::string& prefix) {
    must(write_file_atomically(scene.viscumd().instance().config_file(),
                               cat("viscum: 1\nlan: [br-lan]\nclaimable: [", prefix, "]\n"), 0644));
    reload(scene);
}

void permit_all(Scene& scene) {
    scene.write_config("lan: [br-lan]\n");
    reload(scene);
}

bool is_gone(const Scene& scene, const std::string& service) {
    const ServiceReport report = scene.status(service);
    return report.name.empty() || (report.admission == "off" && report.reason.starts_with("not served: "));
}

}  // namespace

TEST_CASE("claims: what runs keeps its claims while an update with others is under way") {
    Scene scene;
    scene.deploy(echo_service("web", {"203.0.113.53 7000 udp"}));
    auto update = must(Program::start(
        {.argv = {VISCUM_BIN_DIR "/viscumctl", "deploy", hopeless("web", {"203.0.113.10 80"}).write(), "--wait", "5s"},
         .ns = &scene.bed().hotspot()}));
    CHECK(eventually(kLimit, [] { return static_cast<bool>(NetNs::open("viscum-web.1")); }));
    for (const char* claim : {"203.0.113.53 7000 udp", "203.0.113.10 80"}) {
        CAPTURE(std::string(claim));
        const RunOutput refused = scene.deploy(echo_service("other", {claim}), 5);
        CHECK(refused.err.find("'web'") != std::string::npos);
    }
    CHECK(update.running());
    CHECK(update.ended_within(kLimit));
    CHECK(update.stop(SIGTERM) == 4);
    CHECK(scene.echo(kEcho) == "local");
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    scene.deploy(echo_service("other", {"203.0.113.10 7000 udp"}));
    CHECK(scene.echo(Endpoint::of("203.0.113.10", kPort)) == "local");
    scene.ctl({"remove", "other"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("claims: a service whose claim is withdrawn goes, and comes back with the permission, drained if it was") {
    Scene scene;
    scene.deploy(web_service());
    const std::string file = must(read_file(services_file(scene, "web"), 65'536));
    for (const bool drained : {false, true}) {
        CAPTURE(drained);
        if (drained) {
            scene.ctl({"drain", "web"});
        }
        permit_only(scene, "198.51.100.0/24");
        CHECK(eventually(kLimit, [&] { return is_gone(scene, "web"); }));
        CHECK(scene.web() == "cloud");
        CHECK(must(read_file(services_file(scene, "web"), 65'536)) == file);
        permit_all(scene);
        CHECK(eventually(kLimit, [&] { return scene.status("web").state == "up"; }));
        CHECK(scene.status("web").drained == drained);
        if (drained) {
            CHECK(scene.web() == "cloud");
            scene.ctl({"resume", "web"});
        }
        CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("claims: a service that still drains when its claim is permitted again is served again") {
    Scene scene;
    scene.deploy(web_service());
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    permit_only(scene, "198.51.100.0/24");
    CHECK(eventually(kLimit, [&] { return scene.web(kWeb, 2) == "cloud"; }));
    permit_all(scene);
    CHECK(open.get().who() == "local");
    { const auto closed = std::move(open); }
    CHECK(eventually(kLimit, [&] { return scene.web(kWeb, 2) == "local"; }));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("claims: more of them than the table holds are refused, and what runs goes on") {
    Scene scene({.config_lines = "lan: [br-lan]\ntables: { rules: 16 }\n"});
    scene.deploy(web_service());
    const ServiceReport before = scene.status("web");
    const auto many = [](int count) {
        std::vector<std::string> claims;
        for (int port = 8000; port < 8000 + count; ++port) {
            claims.push_back(cat("198.51.100.1 ", port, " udp"));
        }
        return echo_service("many", claims);
    };
    const auto flow = scene.flow();
    const RunOutput refused = scene.deploy(many(15), 5);
    CHECK(refused.err.find("17 claims do not fit into the table of 16 rules") != std::string::npos);
    CHECK(refused.err.find("tables: {rules: N}") != std::string::npos);
    CHECK(is_gone(scene, "many"));
    scene.deploy(many(14));
    CHECK(scene.status("web").pid == before.pid);
    const FlowSummary seen = flow->stop();
    check_flow("more claims than fit", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "many"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("claims: a service whose file cannot be read goes on, over a restart of viscumd and after it can") {
    Scene scene;
    scene.deploy(web_service());
    const ServiceReport before = scene.status("web");
    const std::string path = services_file(scene, "web");
    const std::string text = must(read_file(path, 65'536));
    const auto flow = scene.flow();
    scene.viscumd().kill();
    std::filesystem::remove(path);
    SUBCASE("a directory stands in its place") {
        std::filesystem::create_directory(path);
    }
    SUBCASE("it is too large") {
        must(write_file_atomically(path, text + std::string(300'000, '#'), 0640));
    }
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").pid == before.pid);
    CHECK(scene.status("web").state == "up");
    reload(scene);
    CHECK(eventually(kLimit, [&] { return scene.viscumd().log().find("was read again") != std::string::npos; }));
    CHECK(scene.status("web").pid == before.pid);
    std::filesystem::remove_all(path);
    must(write_file_atomically(path, text, 0640));
    reload(scene);
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").pid == before.pid);
    const FlowSummary seen = flow->stop();
    check_flow("a file that cannot be read", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    CHECK(scene.web() == "cloud");
    scene.check_no_leak();
}

}  // namespace viscum
