// SPDX-License-Identifier: GPL-2.0-only
// A service that wants more than its share gets its share, and says so; nobody else notices.
#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "tests/scene/scene.h"
#include "tests/support/process_tree.h"
#include "tests/support/sandbox.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

const Endpoint kGreedy = Endpoint::of("203.0.113.20", 80);

/// tests/e2e/attacker, obeying clients.
ServiceFile greedy(const std::string& more) {
    return {"greedy", {"203.0.113.20 80"}, {"/srv/bin/viscum-test-attacker", "obey"}, more};
}

void ask(Scene& scene, const std::string& path) {
    CHECK(http_get(scene.bed().client(1), {.to = kGreedy, .path = path}).who() != "cloud");
}

/// The groups named after the instance, in all hierarchies that are to be seen.
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

/// While it lives, the control groups are out of sight.
class HiddenGroups {
public:
    HiddenGroups()
        : groups_(open_tree(AT_FDCWD, kGroups, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)),
          hidden_(groups_ && umount2(kGroups, MNT_DETACH) == 0) {}
    ~HiddenGroups() {
        if (hidden_) {
            move_mount(groups_.get(), "", AT_FDCWD, kGroups, MOVE_MOUNT_F_EMPTY_PATH);
        }
    }
    HiddenGroups(const HiddenGroups&) = delete;
    HiddenGroups& operator=(const HiddenGroups&) = delete;
    [[nodiscard]] bool hidden() const { return hidden_; }

private:
    static constexpr const char* kGroups = "/sys/fs/cgroup";
    UniqueFd groups_;
    bool hidden_;
};

/// Whether this machine lets groups be made for each of these limits.
bool can_limit(Scene& scene) {
    const auto plan =
        scene.viscumd().ctl({"deploy", "--dry-run", greedy("limits: { memory: 64M, pids: 64 }\n").write()});
    if (plan.status != 0) {
        skip("no cgroup controllers for memory and pids");
    }
    return plan.status == 0;
}

bool mentions(const std::string& text, const std::string& what) {
    const bool found = text.find(what) != std::string::npos;
    CHECK_MESSAGE(found, "'", what, "' is not in: ", text);
    return found;
}

/// Another service serves a client without pause while `body` runs.
void beside_another(Scene& scene, const std::function<void()>& body) {
    scene.deploy(web_service());
    const auto flow = scene.flow(kWeb, 2);
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    body();
    const FlowSummary seen = flow->stop();
    check_flow("beside one that wants too much", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "greedy"});
    CHECK(join(groups(), "\n") == "");
    scene.check_no_leak();
}

}  // namespace

TEST_CASE("limits: a service whose memory ran out is ended, started again, and says why") {
    Scene scene;
    if (!can_limit(scene)) {
        return;
    }
    beside_another(scene, [&] {
        scene.deploy(greedy("limits: { memory: 32M }\nrestart: { backoff: 100ms }\n"));
        CHECK_FALSE(groups().empty());
        ask(scene, "/eat");
        CHECK(eventually(kLimit, [&] { return scene.status("greedy").restarts > 0; }));
        const ServiceReport report = scene.status("greedy");
        mentions(report.last_exit, "out of memory (limit 32M)");
        mentions(report.last_exit, "SIGKILL");
        CHECK(report.oom_kills > 0);
        CHECK(std::ranges::find(report.limits, "memory 32M") != report.limits.end());
        mentions(scene.ctl({"status", "greedy"}).out, "out of memory (limit 32M)");
        mentions(scene.viscumd().log(), "out of memory (limit 32M)");
        CHECK(eventually(kLimit, [&] { return scene.web(kGreedy) == "ready"; }));
    });
}

TEST_CASE("limits: a fork bomb gets as many processes as it may have, is counted, and goes with its service") {
    Scene scene;
    if (!can_limit(scene)) {
        return;
    }
    std::vector<pid_t> processes;
    beside_another(scene, [&] {
        scene.deploy(greedy("limits: { pids: 24 }\n"));
        ask(scene, "/fork");
        CHECK(eventually(kLimit, [&] { return scene.status("greedy").forks_refused > 0; }));
        processes = scene.processes_of("greedy");
        CHECK(processes.size() > 10);
        CHECK(processes.size() <= 24);
        CHECK(scene.status("greedy").pids <= 24);
        CHECK(http_get(scene.bed().client(1), {.to = kGreedy}).body == "denied EAGAIN\n");
        mentions(scene.ctl({"status", "greedy"}).out, "24");
    });
    for (const pid_t process : processes) {
        CHECK(parent_of(process) == 0);
    }
}

TEST_CASE("limits: a service that crashes leaves no core, and its descriptors are counted") {
    Scene scene;
    scene.deploy(greedy("limits: { open_files: 40, required: false }\nrestart: { policy: never }\n"));
    const auto limits = must(read_file(cat("/proc/", scene.processes_of("greedy").front(), "/limits"), 8192));
    std::string line = limits.substr(limits.find("Max open files"));
    line = line.substr(0, line.find('\n'));
    mentions(line, " 40 ");
    ask(scene, "/core");
    CHECK(eventually(kLimit, [&] { return scene.status("greedy").state == "failed"; }));
    CHECK(scene.status("greedy").last_exit == "killed by SIGABRT");
    scene.ctl({"remove", "greedy"});
    scene.check_no_leak();
}

TEST_CASE("limits: a file that asks for what this machine cannot keep is refused, or told where it does not insist") {
    const HiddenGroups groups_away;
    if (!groups_away.hidden()) {
        skip("no control groups that could be hidden");
        return;
    }
    Scene scene;
    const Snapshot before = must(take_snapshot());
    for (const char* limit : {"memory: 64M", "cpu: 50%", "pids: 64"}) {
        const RunOutput refused = scene.deploy(greedy(cat("limits: { ", limit, " }\n")), 5);
        const std::string name = std::string(limit).substr(0, std::string(limit).find(':'));
        mentions(refused.err, name);
        mentions(refused.err, "required: false");
    }
    CHECK(join(must(leaks_since(before, kLimit, is_probe)), "\n") == "");
    // The defaults are no wish of the file's.
    scene.deploy(greedy(""));
    CHECK(scene.web(kGreedy) == "ready");
    scene.ctl({"remove", "greedy"});
    scene.deploy(greedy("limits: { memory: 64M, cpu: 50%, pids: 64, required: false }\n"));
    CHECK(scene.web(kGreedy) == "ready");
    for (const std::string& limit : scene.status("greedy").limits) {
        CAPTURE(limit);
        const bool one_of_them = limit.starts_with("memory") || limit.starts_with("cpu") || limit.starts_with("pids");
        CHECK((limit.find("not kept") != std::string::npos) == one_of_them);
    }
    scene.ctl({"remove", "greedy"});
    scene.check_no_leak();
}

}  // namespace viscum
