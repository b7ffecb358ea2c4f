// SPDX-License-Identifier: GPL-2.0-only
// A service comes, stays as it is, and goes.
#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

void check_who_answers(const Scene& scene, const std::string& expected) {
    for (const int client : {1, 2}) {
        CHECK(scene.web(kWeb, client) == expected);
        CHECK(scene.web(kWeb6, client) == expected);
    }
}

void check_whole_life(Scene& scene) {
    check_who_answers(scene, "cloud");
    auto old = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    auto old6 = must(KeptConnection::open(scene.bed().client(2), {.to = kWeb6}));
    CHECK(old.get().who() == "cloud");
    CHECK(old6.get().who() == "cloud");
    scene.deploy(web_service());
    check_who_answers(scene, "local");
    CHECK(old.get().who() == "cloud");
    CHECK(old6.get().who() == "cloud");
    scene.ctl({"remove", "web"});
    check_who_answers(scene, "cloud");
    CHECK(old.get().who() == "cloud");
    CHECK(old6.get().who() == "cloud");
    scene.check_no_leak();
}

}  // namespace

TEST_CASE("lifecycle: behind a bridge, a deployed service answers instead of the cloud until it is removed") {
    Scene scene;
    check_whole_life(scene);
}

TEST_CASE("lifecycle: behind plain LAN devices, a deployed service answers instead of the cloud until it is removed") {
    Scene scene({.bed = {.bridge = false}, .config_lines = "lan: ['lan*']\n"});
    check_whole_life(scene);
}

TEST_CASE("lifecycle: a dual-stack listener serves both families") {
    Scene scene;
    ServiceFile file = web_service();
    file.command = must(nginx("dual", "local", {"[::]:80 ipv6only=off"})).command;
    scene.deploy(file);
    check_who_answers(scene, "local");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("lifecycle: a connection to a removed service ends in peace") {
    Scene scene;
    scene.deploy(web_service());
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    const ServiceReport before = scene.status("web");
    auto removal =
        must(Program::start({.argv = {VISCUM_BIN_DIR "/viscumctl", "remove", "web"}, .ns = &scene.bed().hotspot()}));
    CHECK(eventually(kLimit, [&] { return scene.web() == "cloud"; }));
    CHECK(open.get().who() == "local");
    CHECK(scene.status("web").pid == before.pid);
    { const auto closed = std::move(open); }
    CHECK(removal.ended_within(kLimit));
    CHECK(removal.stop(SIGTERM) == 0);
    scene.check_no_leak();
}

TEST_CASE("lifecycle: a service that listens on the loopback only is never redirected, and its deploy fails") {
    Scene scene;
    ServiceFile file = web_service("2");
    file.command = must(nginx("lonely", "lonely", {"127.0.0.1:80"})).command;
    const auto flow = scene.flow();
    SUBCASE("nothing before") {
        const RunOutput output = scene.ctl({"deploy", file.write(), "--wait", "1s"}, 4);
        CHECK(output.err.find("connection refused") != std::string::npos);
        CHECK(scene.web() == "cloud");
        const FlowSummary seen = flow->stop();
        check_flow("no version before", seen);
        CHECK(seen.cloud == seen.requests);
    }
    SUBCASE("a version before") {
        scene.deploy(web_service());
        CHECK(flow->wait_for("local", boot_now(), kLimit));
        scene.ctl({"deploy", file.write(), "--wait", "1s"}, 4);
        CHECK(scene.web() == "local");
        const FlowSummary seen = flow->stop();
        check_flow("a version before", seen);
        CHECK(seen.cloud + seen.local == seen.requests);
        scene.ctl({"remove", "web"});
    }
    SUBCASE("without a probe that looks at the port") {
        file.more = "health: { process: {} }\n";
        scene.deploy(file);
        CHECK(scene.web() == "cloud");
        CHECK(scene.status("web").claims.front().flows_cloud > 0);
        check_flow("no listener", flow->stop());
        scene.ctl({"remove", "web"});
    }
    (void)remove_file("/run/viscum/log/web.log");  // of a deploy that failed: all there is to see
    scene.check_no_leak();
}

}  // namespace viscum
