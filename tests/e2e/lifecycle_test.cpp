// SPDX-License-Identifier: GPL-2.0-only
// A service comes, stays as it is, and goes.
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

TEST_CASE("lifecycle: all services are drained with one word, and resumed with another") {
    Scene scene;
    scene.ctl({"drain"}, 2);
    CHECK(scene.ctl({"drain", "--all"}).out == "nothing to do, there is no service\n");
    ServiceFile other = web_service();
    other.name = "other";
    other.claims = {"203.0.113.53 80"};
    const Endpoint to = Endpoint::of("203.0.113.53", 80);
    scene.deploy(web_service());
    scene.deploy(other);
    scene.ctl({"drain", "other"});
    CHECK(scene.ctl({"drain", "--all"}).out ==
          "other: nothing to do, it is drained\nweb: drained: new connections go to the cloud\n");
    CHECK(scene.web() == "cloud");
    CHECK(scene.web(to) == "cloud");
    scene.viscumd().stop();
    must(scene.viscumd().start_again());
    CHECK(scene.web() == "cloud");
    scene.ctl({"resume", "--all", "web"}, 2);
    CHECK(scene.ctl({"resume", "--all"}).out == "other: resumed\nweb: resumed\n");
    CHECK(eventually(kLimit, [&] { return scene.web() == "local" && scene.web(to) == "local"; }));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "other"});
    scene.check_no_leak();
}

}  // namespace viscum
