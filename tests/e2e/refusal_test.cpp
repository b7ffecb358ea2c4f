// SPDX-License-Identifier: GPL-2.0-only
// What viscumctl is refused changes nothing.
#include <signal.h>

#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

/// Runs `body` and checks that the router is as it was before.
void changes_nothing(const std::function<void()>& body) {
    const Snapshot before = must(take_snapshot());
    body();
    CHECK(join(must(leaks_since(before, kLimit, is_probe)), "\n") == "");
}

ServiceFile with_claims(const std::string& name, const std::vector<std::string>& claims) {
    ServiceFile file = web_service();
    file.name = name;
    file.claims = claims;
    file.more = "";
    return file;
}

bool says(const RunOutput& output, const std::string& text) {
    const bool found = output.err.find(text) != std::string::npos;
    CHECK_MESSAGE(found, "'", text, "' is not in: ", output.err);
    return found;
}

}  // namespace

TEST_CASE("refusal: what may not be claimed is not") {
    Scene scene;
    changes_nothing([&] {
        const std::vector<std::pair<std::string, std::string>> claims = {
            {"203.0.112.1 80", "not within 'claimable'"},   {"2001:db8:d::1 80", "not within 'claimable'"},
            {"10.77.0.1 80", "a network of this router"},   {"10.77.3.4 80", "a network of this router"},
            {"192.0.2.1 80", "a network of this router"},   {"2001:db8:77::1 80", "a network of this router"},
            {"127.0.0.1 80", "a loopback address"},         {"169.254.1.1 80", "a link-local address"},
            {"fe80::1 80", "a link-local address"},         {"224.0.0.251 5353 udp", "a multicast address"},
            {"203.0.113.0/23 80", "not a network address"},
        };
        for (const auto& [claim, reason] : claims) {
            CAPTURE(claim);
            const int expected = claim == "203.0.113.0/23 80" ? 2 : 5;
            const RunOutput output = scene.deploy(with_claims("web", {"203.0.113.10 80", claim}), expected);
            if (expected == 5) {
                says(output, reason);
            }
        }
    });
    CHECK(scene.web() == "cloud");
    scene.check_no_leak();
}

TEST_CASE("refusal: two services never claim the same, and the error names both") {
    Scene scene;
    scene.deploy(web_service());
    changes_nothing([&] {
        for (const char* claim : {"203.0.113.10 80", "203.0.113.10 1-100", "203.0.113.10 any"}) {
            CAPTURE(claim);
            const RunOutput output = scene.deploy(with_claims("other", {claim}), 5);
            says(output, "'other'");
            says(output, "'web'");
        }
        const std::string first = with_claims("one", {"203.0.113.20 80"}).write();
        const std::string second = with_claims("two", {"203.0.113.20 80"}).write();
        const RunOutput both = scene.ctl({"deploy", first, second}, 5);
        says(both, "'one'");
        says(both, "'two'");
    });
    CHECK(scene.web() == "local");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("refusal: a service cannot take what a removed one still serves") {
    Scene scene;
    scene.deploy(web_service());
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    auto removal =
        must(Program::start({.argv = {VISCUM_BIN_DIR "/viscumctl", "remove", "web"}, .ns = &scene.bed().hotspot()}));
    CHECK(eventually(kLimit, [&] { return scene.web() == "cloud"; }));
    says(scene.deploy(with_claims("another", {"203.0.113.10 80"}), 5), "'web'");
    CHECK(open.get().who() == "local");
    { const auto closed = std::move(open); }
    CHECK(removal.ended_within(kLimit));
    CHECK(removal.stop(SIGTERM) == 0);
    scene.deploy(with_claims("another", {"203.0.113.10 80"}));
    CHECK(scene.web() == "local");
    scene.ctl({"remove", "another"});
    scene.check_no_leak();
}

TEST_CASE("refusal: a hostile file changes nothing, and the error says where it is wrong") {
    Scene scene;
    scene.deploy(web_service());
    const std::string good = web_service().text();
    const std::vector<std::pair<std::string, std::string>> files = {
        {"", ":1:1: "},
        {"\t", ":1:1: "},
        {std::string(200'000, '['), ":1:"},
        {good + "unknown: 1\n", cat(":", split(good, '\n').size(), ":1: ")},
        {good + "name: web\n", cat(":", split(good, '\n').size(), ":1: ")},
        {"viscum: 1\nname: WEB\n", ":2:7: "},
        {"viscum: 2\nname: web\n", ":1:9: "},
        {std::string("viscum: 1\nname: w\0b\n", 20), ":2:"},
        {"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", ":1:"},
        {std::string(300'000, '#'), ""},
    };
    const auto flow = scene.flow();
    changes_nothing([&] {
        for (std::size_t number = 0; number < files.size(); ++number) {
            CAPTURE(number);
            const std::string path = must(write_service("hostile", files[number].first));
            const RunOutput output = scene.ctl({"deploy", path}, 2);
            says(output, path + files[number].second);
        }
        scene.ctl({"deploy", "/tmp/no-such-file.yaml"}, 2);
        scene.ctl({"deploy", "/"}, 2);
        scene.ctl({"deploy"}, 2);
        // One bad file among good ones: none is deployed.
        const std::string fine = with_claims("fine", {"203.0.113.20 80"}).write();
        scene.ctl({"deploy", fine, must(write_service("hostile", "viscum: 1\n"))}, 2);
        CHECK(scene.status("fine").name.empty());
    });
    const FlowSummary seen = flow->stop();
    check_flow("hostile files", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("refusal: a service that is not deployed is unknown to every verb, and so is a viscumd that does not run") {
    Scene scene;
    changes_nothing([&] {
        for (const Argv& verb : {Argv{"status"}, {"remove"}, {"drain"}, {"resume"}, {"restart"}, {"logs"}}) {
            scene.ctl({verb.front(), "nobody"}, 6);
        }
        scene.ctl({"exec", "nobody", "--", "/usr/bin/true"}, 6);
    });
    scene.viscumd().stop();
    const std::string path = web_service().write();
    for (const Argv& arguments : {Argv{"list"}, {"status"}, {"remove", "web"}, {"drain", "web"}, {"deploy", path}}) {
        const RunOutput output = scene.ctl(arguments, 3);
        says(output, "no viscumd runs for instance 'viscum'");
    }
    must(scene.viscumd().start_again());
    scene.check_no_leak();
}

TEST_CASE("refusal: an update that fails leaves the version before serving") {
    Scene scene;
    scene.deploy(web_service());
    const ServiceReport before = scene.status("web");
    const auto flow = scene.flow(kWeb, 1);
    const auto flow6 = scene.flow(kWeb6, 2);
    ServiceFile file = web_service("broken");
    const auto fails = [&](const std::string& reason) {
        says(scene.ctl({"deploy", file.write(), "--wait", "1s"}, 4), reason);
        const ServiceReport after = scene.status("web");
        CHECK(after.pid == before.pid);
        CHECK(after.digest == before.digest);
        CHECK(after.admission == "serve");
    };
    file.command = {"/no/such/program"};
    fails("/no/such/program");
    file.command = {"/usr/bin/false"};
    fails("exited with 1");
    file.command = {"/usr/bin/sleep", "1000"};
    fails("connection refused");
    file = web_service("unhealthy");
    file.more = "health: { http: { port: 80, expect: 204 } }\n";
    fails("status 200 instead of 204");
    for (FlowClient* one : {flow.get(), flow6.get()}) {
        const FlowSummary seen = one->stop();
        check_flow("updates that fail", seen);
        CHECK(seen.cloud == 0);
    }
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").digest == before.digest);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
