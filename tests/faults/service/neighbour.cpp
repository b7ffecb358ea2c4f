// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/service/neighbour.h"

#include <filesystem>

#include "base/file.h"
#include "tests/support/sandbox.h"

namespace viscum {

const Endpoint kBad = Endpoint::of("203.0.113.20", 80);

ServiceFile moody_service(const std::string& more, bool litter) {
    ServiceFile file{"moody", {"203.0.113.20 80"}, {"/srv/bin/viscum-test-moody", "80"}, more};
    if (litter) {
        file.command.emplace_back("litter");
    }
    return file;
}

void set_mood(const std::string& mood) {
    must(write_file_atomically("/srv/mood", mood, 0644));
}

std::string eager_probe(const std::string& kind) {
    return cat("health: { ", kind, ", interval: 200ms, timeout: 200ms, fall: 2 }\n");
}

ServiceFile greedy_service(const std::string& more) {
    return {"greedy", {"203.0.113.20 80"}, {"/srv/bin/viscum-test-attacker", "obey"}, more};
}

void ask(Scene& scene, const std::string& path) {
    CHECK(http_get(scene.bed().client(1), {.to = kBad, .path = path}).who() != "cloud");
}

Neighbour::Neighbour(Scene& scene) : scene_(scene) {
    ServiceFile file = web_service();
    file.more = "health: { http: { port: 80, path: /healthz }, interval: 2s, timeout: 2s, fall: 3 }\n";
    scene.deploy(file);
    flow_ = scene.flow(kWeb, 2);
    CHECK(flow_->wait_for("local", boot_now(), kLimit));
}

void Neighbour::check() {
    CHECK(flow_->wait_for("local", boot_now(), kLimit));
    const FlowSummary seen = flow_->stop();
    check_flow("beside a service that goes wrong", seen);
    CHECK(seen.cloud == 0);
    CHECK(scene_.status("web").restarts == 0);
    CHECK(join(must(read_disk_state(scene_.viscumd().instance())).broken, "\n") == "");
}

void check_end(Scene& scene, const std::vector<std::string>& services) {
    for (const std::string& service : services) {
        scene.ctl({"remove", service});
    }
    CHECK(join(groups(), "\n") == "");
    scene.check_no_leak();
}

std::vector<std::string> groups() {
    std::vector<std::string> found;
    std::error_code error;
    const auto options = std::filesystem::directory_options::skip_permission_denied;
    for (std::filesystem::recursive_directory_iterator it("/sys/fs/cgroup", options, error), end; !error && it != end;
         it.increment(error)) {
        const std::string path = it->path().string();
        std::error_code ignored;
        if (it->is_directory(ignored) && path.find("/viscum") != std::string::npos) {
            found.push_back(path);
        }
    }
    return found;
}

bool can_limit(Scene& scene) {
    const auto plan =
        scene.viscumd().ctl({"deploy", "--dry-run", greedy_service("limits: { memory: 64M, pids: 64 }\n").write()});
    if (plan.status != 0) {
        skip("no cgroup controllers for memory and pids");
    }
    return plan.status == 0;
}

bool becomes_unhealthy(const Scene& scene, const std::string& service) {
    return eventually(kLimit, [&] { return scene.status(service).admission == "drain"; });
}

bool mentions(const std::string& text, const std::string& what) {
    const bool found = text.find(what) != std::string::npos;
    CHECK_MESSAGE(found, "'", what, "' is not in: ", text);
    return found;
}

void check_log(Scene& scene, const std::string& cause) {
    CHECK(join(judge_log(scene.viscumd().log(), cause), "\n") == "");
}

}  // namespace viscum
