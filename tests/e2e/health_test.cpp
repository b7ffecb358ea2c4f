// SPDX-License-Identifier: GPL-2.0-only
// Who is healthy gets traffic; who hangs, starts slowly, or is watched by nobody, does not.
#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr const char* kFlag = "/srv/healthy";

bool waits_for_admission(const Scene& scene, const std::string& service, const std::string& admission,
                         Millis limit = kLimit) {
    return eventually(limit, [&] { return scene.status(service).admission == admission; });
}

void set_flag(bool healthy) {
    must(healthy ? write_file_atomically(kFlag, "", 0644) : remove_file(kFlag));
}

/// A web service whose health is whether kFlag exists.
ServiceFile flagged_service(const std::string& more = "") {
    ServiceFile file = web_service();
    file.more = cat("health: { exec: [/usr/bin/test, -e, ", kFlag,
                    "], interval: 200ms, timeout: 200ms, fall: 2, rise: 1 }\n", more);
    return file;
}

}  // namespace

TEST_CASE("health: each kind of probe tells a healthy service from another") {
    Scene scene;
    const auto deploy = [&](const std::string& probe, int expected) {
        ServiceFile file = web_service();
        file.more = cat("health: { ", probe, ", interval: 200ms }\n");
        const RunOutput output =
            scene.ctl({"deploy", file.write(), "--wait", expected == 0 ? "20s" : "500ms"}, expected);
        if (expected != 0) {
            CHECK(scene.web() == "cloud");
        } else {
            CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));  // `process` knows of no listener
            scene.ctl({"remove", "web"});
        }
        return output.err;
    };
    deploy("tcp: { port: 80 }", 0);
    CHECK(deploy("tcp: { port: 81 }", 4).find("refused") != std::string::npos);
    deploy("http: { port: 80, path: /healthz }", 0);
    CHECK(deploy("http: { port: 80, path: /healthz, expect: 204 }", 4).find("status 200 instead of 204") !=
          std::string::npos);
    deploy("exec: [/usr/bin/true]", 0);
    deploy("exec: [/usr/bin/false]", 4);
    deploy("process: {}", 0);
    must(remove_file("/run/viscum/log/web.log"));  // of deploys that failed: all there is to see
    scene.check_no_leak();
}

TEST_CASE("health: who waits for a deploy is told what for, once, and not with --json") {
    Scene scene;
    ServiceFile file = web_service();
    file.more = "health: { tcp: { port: 81 }, interval: 200ms }\n";
    const std::string told = scene.ctl({"deploy", file.write(), "--wait", "4s"}, 4).err;
    const std::string line = "web: waiting until it is healthy (up to 4s): connection refused\n";
    const auto at = told.find(line);
    CHECK(at != std::string::npos);
    CHECK(told.find(line, at + 1) == std::string::npos);
    CHECK(scene.ctl({"--json", "deploy", file.write(), "--wait", "2s"}, 4).err.empty());
    must(remove_file("/run/viscum/log/web.log"));  // of deploys that failed: all there is to see
    scene.check_no_leak();
}

TEST_CASE("health: a UDP probe asks and looks at the answer") {
    Scene scene;
    scene.start_in_cloud(
        Server{test_server({"cloud", "tcp", "::", "7000", "udp", "::", "7000"}), "/tmp/cloud-echo.log"}, 7000);
    const Endpoint to = Endpoint::of("203.0.113.10", 7000);
    ServiceFile file = test_service("echo", {"203.0.113.10 7000 udp"}, {"local", "udp", "0.0.0.0", "7000"});
    file.more = "health: { udp: { port: 7000, send: ping, expect: local ping } }\n";
    scene.deploy(file);
    CHECK(scene.echo(to) == "local");
    file.more = "health: { udp: { port: 7000, send: ping, expect: pong } }\n";
    scene.ctl({"deploy", file.write(), "--wait", "500ms"}, 4);
    CHECK(scene.echo(to) == "local");
    scene.ctl({"remove", "echo"});
    scene.check_no_leak();
}

TEST_CASE("health: on_failure decides what becomes of traffic that the local copy cannot serve") {
    Scene scene;
    set_flag(true);
    const auto asked_in_vain = [&] { return http_get(scene.bed().client(1), {.to = kWeb, .limit = 300ms}).who(); };
    SUBCASE("cloud: an unhealthy or dead service is passed by") {
        scene.deploy(flagged_service("restart: { policy: never }\n"));
        set_flag(false);
        CHECK(waits_for_admission(scene, "web", "drain"));
        CHECK(scene.web() == "cloud");
        set_flag(true);
        CHECK(waits_for_admission(scene, "web", "serve"));
        scene.kill_service("web");
        CHECK(scene.web() == "cloud");
    }
    SUBCASE("drop: nothing leaves the site") {
        scene.deploy(flagged_service("on_failure: drop\nrestart: { policy: never }\n"));
        CHECK(scene.web() == "local");
        set_flag(false);
        CHECK(waits_for_admission(scene, "web", "drain"));
        CHECK(asked_in_vain() == "timed out");
        scene.kill_service("web");
        CHECK(asked_in_vain() == "timed out");
        CHECK(eventually(kLimit, [&] { return scene.status("web").state == "failed"; }));
        CHECK(asked_in_vain() == "timed out");
        scene.ctl({"drain", "web"});
        CHECK(asked_in_vain() == "timed out");
    }
    SUBCASE("keep: only a listener counts") {
        scene.deploy(flagged_service("on_failure: keep\nrestart: { policy: never }\n"));
        set_flag(false);
        CHECK(eventually(kLimit, [&] { return scene.status("web").health == "unhealthy"; }));
        CHECK(scene.status("web").admission == "serve");
        CHECK(scene.web() == "local");
        scene.kill_service("web");
        CHECK(scene.web() == "cloud");
    }
    scene.ctl({"remove", "web"});
    CHECK(scene.web() == "cloud");
    scene.check_no_leak();
}

}  // namespace viscum
