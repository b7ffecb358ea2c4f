// SPDX-License-Identifier: GPL-2.0-only
// A service that does not come to serve: it starts slowly, never, or listens where no client asks. Nothing is
// redirected to it, and its operator is told why.
#include "base/file.h"
#include "tests/faults/service/neighbour.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

/// Of a deploy that failed: all there is to see.
void forget_log(const std::string& service) {
    (void)remove_file(cat("/run/viscum/log/", service, ".log"));
}

ServiceFile listening_at(const std::string& name, const std::vector<std::string>& addresses) {
    ServiceFile file = web_service("2");
    file.command = must(nginx(name, name, addresses)).command;
    return file;
}

}  // namespace

TEST_CASE("fault 4: a service that starts slowly gets no traffic before it listens") {
    Scene scene;
    const auto flow = scene.flow();
    const BootTime start = boot_now();
    ServiceFile file = test_service("slow", {"203.0.113.10 80"}, {"--wait", "2000", "local", "tcp", "0.0.0.0", "80"});
    scene.deploy(file);
    const auto first = flow->wait_for("local", start, kLimit);
    CHECK((first && first->start - start >= 2s));
    check_flow("a slow start", flow->stop());
    check_end(scene, {"slow"});
}

TEST_CASE("fault 4: a port that never opens fails the deploy, which says what was asked and what is there") {
    Scene scene;
    const auto flow = scene.flow();
    ServiceFile file = test_service("slow", {"203.0.113.10 80"}, {"--wait", "60000", "local", "tcp", "0.0.0.0", "80"});
    file.more = "health: { start_timeout: 500ms }\n";
    mentions(scene.deploy(file, 4).err,
             "not healthy in 500ms: connection refused; no listener on 203.0.113.10:80/tcp: it listens on nothing");
    const FlowSummary seen = flow->stop();
    check_flow("a port that never opens", seen);
    CHECK(seen.local == 0);
    check_log(scene, "'slow' was not deployed: not healthy in 500ms: connection refused");
    forget_log("slow");
    scene.check_no_leak();
}

TEST_CASE("fault 4: one that was served, and does not come up again, is killed in time, and its end says why") {
    Scene scene;
    set_mood("good");
    Neighbour neighbour(scene);
    scene.deploy(
        moody_service("health: { http: { port: 80, path: /healthz }, interval: 200ms, timeout: 200ms, fall: 2, "
                      "start_timeout: 500ms }\nrestart: { backoff: 200ms }\n"));
    set_mood("silent");
    scene.kill_service("moody");
    const std::string why = "not healthy in 500ms: no answer within 200ms";
    CHECK(eventually(kLimit, [&] { return scene.status("moody").last_exit.find(why) != std::string::npos; }));
    CHECK(scene.web(kBad) == "cloud");
    CHECK(eventually(kLimit, [&] {
        const ServiceReport report = scene.status("moody");
        return report.state == "backoff" && report.reason.find(why) != std::string::npos;
    }));
    mentions(scene.viscumd().log(), cat("'moody' ended: killed by SIGKILL: ", why));
    set_mood("good");
    CHECK(eventually(kLimit, [&] { return scene.status("moody").health == "healthy"; }));
    neighbour.check();
    check_end(scene, {"web", "moody"});
}

TEST_CASE("fault 5: a service that listens on the loopback only is never redirected, and its deploy says so") {
    Scene scene;
    const ServiceFile file = listening_at("lonely", {"127.0.0.1:80"});
    const auto flow = scene.flow();
    SUBCASE("nothing before") {
        const RunOutput output = scene.ctl({"deploy", file.write(), "--wait", "1s"}, 4);
        mentions(output.err,
                 "connection refused; no listener on 203.0.113.10:80/tcp, [2001:db8:c::10]:80/tcp: it listens on "
                 "127.0.0.1:80/tcp only");
        CHECK(scene.web() == "cloud");
        const FlowSummary seen = flow->stop();
        check_flow("no version before", seen);
        CHECK(seen.cloud == seen.requests);
        check_log(scene, "'web' was not deployed: not healthy in 1s: connection refused; no listener on");
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
    forget_log("web");
    scene.check_no_leak();
}

TEST_CASE("fault 5: without a probe that looks at the port the status still says that nobody listens there") {
    Scene scene;
    ServiceFile file = listening_at("lonely", {"127.0.0.1:80"});
    file.more = "health: { process: {} }\n";
    const auto flow = scene.flow();
    scene.deploy(file);
    CHECK(scene.web() == "cloud");
    // Such a probe does not wait until the program listens.
    const char* const why =
        "no listener on 203.0.113.10:80/tcp, [2001:db8:c::10]:80/tcp: it listens on 127.0.0.1:80/tcp only";
    CHECK(eventually(kLimit, [&] { return scene.status("web").reason == why; }));
    const ServiceReport report = scene.status("web");
    CHECK(report.health == "healthy");
    CHECK(report.claims.front().flows_cloud > 0);
    CHECK(report.claims.front().cloud.front().reason == "no-listener");
    mentions(scene.ctl({"status", "web"}).out, "it listens on 127.0.0.1:80/tcp only");
    const FlowSummary seen = flow->stop();
    check_flow("no listener", seen);
    CHECK(seen.cloud == seen.requests);
    check_end(scene, {"web"});
}

TEST_CASE("fault 5: one that listens at another address or port than is claimed is told apart from its claims") {
    Scene scene;
    ServiceFile file = listening_at("astray", {"203.0.113.10:8080", "[2001:db8:c::10]:80"});
    const auto flow = scene.flow();
    mentions(scene.ctl({"deploy", file.write(), "--wait", "1s"}, 4).err,
             "no listener on 203.0.113.10:80/tcp: it listens on 203.0.113.10:8080/tcp, [2001:db8:c::10]:80/tcp only");
    CHECK(scene.web() == "cloud");
    CHECK(scene.web(kWeb6) == "cloud");
    const FlowSummary seen = flow->stop();
    check_flow("astray", seen);
    CHECK(seen.cloud == seen.requests);
    forget_log("web");
    scene.check_no_leak();
}

}  // namespace viscum
