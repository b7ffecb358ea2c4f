// SPDX-License-Identifier: GPL-2.0-only
// Limits that a machine cannot keep, and those that it keeps for each process.
#include <fcntl.h>
#include <sys/mount.h>

#include "base/file.h"
#include "tests/scene/scene.h"
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

bool mentions(const std::string& text, const std::string& what) {
    const bool found = text.find(what) != std::string::npos;
    CHECK_MESSAGE(found, "'", what, "' is not in: ", text);
    return found;
}

}  // namespace

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
