// SPDX-License-Identifier: GPL-2.0-only
// Whatever the operator does, and whatever happens to viscumd: clients do not notice.
#include <signal.h>

#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr int kRounds = 20;
constexpr const char* kLostAnswers = R"(table inet lost {
    chain output {
        type filter hook output priority 0
        tcp flags & (syn|ack) == ack drop
    }
}
)";

/// Two clients that ask without pause, over both families.
struct Clients {
    explicit Clients(const Scene& scene) : v4(scene.flow(kWeb, 1)), v6(scene.flow(kWeb6, 2)) {}
    void check(const std::string& what) const {
        for (FlowClient* flow : {v4.get(), v6.get()}) {
            const FlowSummary seen = flow->stop();
            check_flow(what, seen);
            CHECK(seen.local > 0);
        }
    }
    std::unique_ptr<FlowClient> v4;
    std::unique_ptr<FlowClient> v6;
};

}  // namespace

TEST_CASE("continuity: deploys, updates, drains, restarts and removals break no connection") {
    Scene scene;
    const Clients clients(scene);
    for (int round = 0; round < kRounds; ++round) {
        CAPTURE(round);
        scene.deploy(web_service(cat("first ", round)));
        CHECK(clients.v4->wait_for("local", boot_now(), kLimit));
        scene.deploy(web_service(cat("second ", round)));
        scene.ctl({"drain", "web"});
        CHECK(clients.v6->wait_for("cloud", boot_now(), kLimit));
        scene.ctl({"resume", "web"});
        CHECK(clients.v6->wait_for("local", boot_now(), kLimit));
        scene.ctl({"restart", "web"});
        scene.ctl({"remove", "web"});
        CHECK(clients.v4->wait_for("cloud", boot_now(), kLimit));
    }
    clients.check(cat(kRounds, " times deploy, update, drain, resume, restart, remove"));
    scene.check_no_leak();
}

TEST_CASE("continuity: 20 times kill -9 and start of viscumd break no connection, and lose no service") {
    Scene scene;
    scene.deploy(web_service());
    const Clients clients(scene);
    const ServiceReport before = scene.status("web");
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    for (int round = 0; round < kRounds; ++round) {
        CAPTURE(round);
        CHECK(open.get().who() == "local");
        scene.viscumd().kill();
        CHECK(scene.web() == "local");
        CHECK(open.get().who() == "local");
        must(scene.viscumd().start_again());
        CHECK(scene.web() == "local");
        const ServiceReport after = scene.status("web");
        CHECK(after.pid == before.pid);
        CHECK(after.admission == "serve");
    }
    clients.check(cat(kRounds, " times kill -9 and start of viscumd"));
    for (const auto* flow : {clients.v4.get(), clients.v6.get()}) {
        CHECK(summarize(flow->records()).cloud == 0);
    }
    { const auto closed = std::move(open); }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("continuity: a connection to the local service survives its update and viscumd's death") {
    Scene scene;
    scene.deploy(web_service("1"));
    const std::int64_t first = scene.status("web").pid;
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    auto open6 = must(KeptConnection::open(scene.bed().client(2), {.to = kWeb6}));
    CHECK(open.get().who() == "local");
    CHECK(open6.get().who() == "local");
    scene.deploy(web_service("2"));
    CHECK(scene.status("web").pid != first);
    CHECK(scene.status("web").updating);
    CHECK(open.get().who() == "local");
    scene.viscumd().kill();
    CHECK(open.get().who() == "local");
    CHECK(open6.get().who() == "local");
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").updating);
    CHECK(open.get().who() == "local");
    CHECK(open6.get().who() == "local");
    {
        const auto closed = std::move(open);
        const auto closed6 = std::move(open6);
    }
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    CHECK(scene.web() == "local");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("continuity: a third version waits for the connections of the first") {
    Scene scene;
    scene.deploy(web_service("1"));
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    scene.deploy(web_service("2"));
    const auto flow = scene.flow();
    auto third = must(Program::start(
        {.argv = {VISCUM_BIN_DIR "/viscumctl", "deploy", web_service("3").write()}, .ns = &scene.bed().hotspot()}));
    CHECK_FALSE(third.ended_within(300ms));
    CHECK(open.get().who() == "local");
    { const auto closed = std::move(open); }
    CHECK(third.ended_within(kLimit));
    CHECK(third.stop(SIGTERM) == 0);
    check_flow("three versions", flow->stop(), resets_of_changes(1));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("continuity: who began a handshake ends it, over an update and a removal") {
    Scene scene;
    scene.deploy(web_service("1"));
    const NetNs& client = scene.bed().client(1);
    // The last packet of the client's handshake is lost: it has a connection, and the service half of one.
    const auto half_open = [&client] {
        must(output_of({"nft", "-f", "-"}, {.ns = &client, .input = kLostAnswers}));
        return must(KeptConnection::open(client, {.to = kWeb}));
    };
    const auto lose_no_more = [&client] {
        must(output_of({"nft", "delete", "table", "inet", "lost"}, {.ns = &client}));
    };

    auto first = half_open();
    scene.deploy(web_service("2"));
    CHECK_FALSE(eventually(100ms, [&] { return !scene.status("web").updating; }));
    lose_no_more();
    CHECK(first.get().who() == "local");
    { const auto closed = std::move(first); }
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));

    auto second = half_open();
    auto removal =
        must(Program::start({.argv = {VISCUM_BIN_DIR "/viscumctl", "remove", "web"}, .ns = &scene.bed().hotspot()}));
    CHECK(eventually(kLimit, [&] { return http_get(scene.bed().client(2), {.to = kWeb}).who() == "cloud"; }));
    CHECK_FALSE(removal.ended_within(100ms));
    lose_no_more();
    CHECK(second.get().who() == "local");
    { const auto closed = std::move(second); }
    CHECK(removal.ended_within(kLimit));
    CHECK(removal.stop(SIGTERM) == 0);
    scene.check_no_leak();
}

TEST_CASE("continuity: SIGTERM ends viscumd and leaves its services serving") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    CHECK(scene.viscumd().stop() == 0);
    CHECK(scene.web() == "local");
    must(scene.viscumd().start_again());
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    const FlowSummary seen = flow->stop();
    check_flow("an orderly restart of viscumd", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("continuity: a service that ends while no viscumd runs is started by the next one") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    const auto processes = scene.processes_of("web");
    REQUIRE_FALSE(processes.empty());
    scene.viscumd().kill();
    REQUIRE(kill(processes.front(), SIGKILL) == 0);
    CHECK(flow->wait_for("cloud", boot_now(), kLimit));
    must(scene.viscumd().start_again());
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    check_flow("a service that ended unseen", flow->stop(), 1);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("continuity: what was deployed and drained is so after a reboot") {
    Scene scene;
    scene.deploy(web_service());
    ServiceFile other = test_service("other", {"203.0.113.20 80"}, {"local", "tcp", "0.0.0.0", "80"});
    scene.deploy(other);
    scene.ctl({"drain", "other"});
    scene.reboot();
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    CHECK(eventually(kLimit, [&] { return scene.status("other").admission == "drain"; }));
    CHECK(scene.web(Endpoint::of("203.0.113.20", 80)) == "cloud");
    scene.ctl({"resume", "other"});
    CHECK(eventually(kLimit, [&] { return scene.web(Endpoint::of("203.0.113.20", 80)) == "local"; }));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "other"});
    scene.check_no_leak();
}

}  // namespace viscum
