// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl audit` tells what a service can do, by looking at its process.
#include <algorithm>

#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr std::uint64_t kSafe = 15;  // tenths: what a service may score that asks for nothing

AuditReport audit(const Scene& scene, const std::string& service) {
    const auto report = audit_report_from_json(scene.ctl({"audit", service, "--json"}).out);
    CHECK(report);
    return report.value_or(AuditReport{});
}

std::vector<std::string> exposed(const AuditReport& report) {
    std::vector<std::string> names;
    for (const AuditEntry& item : report.items) {
        if (!item.ok) {
            CHECK(item.exposure > 0);
            names.push_back(item.name);
        }
    }
    return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

std::string all_text(const AuditReport& report) {
    std::string out;
    for (const AuditEntry& item : report.items) {
        out += cat(item.ok ? "ok  " : "BAD ", item.name, ": ", item.text, "\n");
    }
    return out;
}

}  // namespace

TEST_CASE("audit: a service that asks for nothing can do next to nothing") {
    Scene scene;
    scene.deploy(web_service());
    const AuditReport report = audit(scene, "web");
    CAPTURE(all_text(report));
    CHECK(report.service == "web");
    CHECK(report.running);
    CHECK(report.score <= kSafe);
    CHECK(report.word == "OK");
    CHECK(report.items.size() >= 10);
    const std::string shown = scene.ctl({"audit", "web"}).out;
    CHECK(shown.find("OK") != std::string::npos);
    scene.ctl({"audit", "nobody"}, 6);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("audit: each thing that a service is let off of makes its score worse, and is named") {
    Scene scene;
    scene.deploy(web_service());
    std::uint64_t before = audit(scene, "web").score;
    const std::vector<std::string> none = exposed(audit(scene, "web"));
    std::string allowed;
    for (const char* item : {"writable-root", "sys", "bpf", "cap_net_raw", "ptrace", "root"}) {
        CAPTURE(item);
        allowed += cat(allowed.empty() ? "" : ", ", item);
        ServiceFile file = web_service(allowed);
        const std::string user = std::string(item) == "root" ? "  user: root\n" : "";
        file.more = cat(user, file.more, "sandbox: { allow: [", allowed, "] }\n");
        scene.deploy(file);
        const AuditReport report = audit(scene, "web");
        CAPTURE(all_text(report));
        CHECK(report.running);
        CHECK(report.score > before);
        const ServiceReport status = scene.status("web");
        CHECK(has(status.allows, item));
        CHECK(scene.ctl({"status", "web"}).out.find(item) != std::string::npos);
        before = report.score;
    }
    CHECK(audit(scene, "web").word != "OK");
    // That a root of its own is written to is one entry with that it is the router's.
    CHECK(exposed(audit(scene, "web")).size() >= none.size() + 5);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("audit: it is the process that is judged, and where there is none, that is said") {
    Scene scene;
    ServiceFile file = web_service();
    file.command = {"/usr/bin/sleep", "0.5"};
    file.more = "health: { process: {} }\nrestart: { policy: never }\n";
    scene.deploy(file);
    CHECK(eventually(kLimit, [&] { return scene.status("web").state == "failed"; }));
    const AuditReport report = audit(scene, "web");
    CHECK_FALSE(report.running);
    CHECK(report.score <= kSafe);
    CHECK(scene.ctl({"audit", "web"}).out.find("not run") != std::string::npos);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("audit: what a service may reach counts") {
    Scene scene;
    scene.deploy(web_service());
    const std::uint64_t before = audit(scene, "web").score;
    ServiceFile file = web_service("egress");
    file.more += "egress: internet\n";
    scene.deploy(file);
    const AuditReport report = audit(scene, "web");
    CHECK(report.score > before);
    CHECK(has(exposed(report), "egress"));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
