// SPDX-License-Identifier: GPL-2.0-only
// Limits that bite, in groups of the sandbox's own.
#include "controller/sandbox/cgroup.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr CgroupLimits kAll{64 * kMiB, 50, 32};

bool is_there(const std::string& path) {
    return access(path.c_str(), F_OK) == 0;
}

bool eventually(const std::function<bool()>& condition) {
    const BootTime limit = boot_now() + std::chrono::seconds(10);
    while (!condition()) {
        if (boot_now() > limit) {
            return false;
        }
        poll(nullptr, 0, 2);
    }
    return true;
}

/// The groups of a test, which go with it.
struct Groups {
    Groups() : cgroups(Cgroups::open("cgtest")) { REQUIRE_MESSAGE(cgroups, cgroups.error().what); }
    ~Groups() {
        const auto names = cgroups->names();
        for (const auto& name : names ? *names : std::vector<std::string>()) {
            eventually([&] { return static_cast<bool>(cgroups->remove(name)); });
        }
    }
    Groups(const Groups&) = delete;
    Groups& operator=(const Groups&) = delete;

    /// False, and the test is skipped, where the machine has no writable groups.
    [[nodiscard]] bool usable() const {
        const auto missing = cgroups->missing(kAll);
        if (!missing.empty()) {
            skip(cat("no control groups to be used here for: ", join(missing, ", ")));
        }
        return missing.empty();
    }
    [[nodiscard]] const CgroupLayout& layout() const { return cgroups->layout(); }
    Cgroups* operator->() { return &*cgroups; }

    /// The text of a group's file without its newline; v1's name of it where the controller lives there.
    static std::string text(const std::optional<CgroupLayout::Controller>& where, const std::string& group,
                            const std::string& v2_file, const std::string& v1_file) {
        const auto text = read_file(cat(where->mount, "/cgtest/", group, "/", where->v2 ? v2_file : v1_file), 65536);
        return text ? text->substr(0, text->find('\n')) : text.error().what;
    }
    [[nodiscard]] std::string memory(const std::string& group) const {
        return text(layout().memory, group, "memory.max", "memory.limit_in_bytes");
    }
    [[nodiscard]] std::string pids(const std::string& group) const {
        return text(layout().pids, group, "pids.max", "pids.max");
    }

    Result<Cgroups> cgroups;
};

/// A child that joins groups and does something there; killed with this object. `work` may not touch doctest.
class Joined {
public:
    Joined(const std::vector<std::string>& files, const std::function<int()>& work) : pid_(fork()) {
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (const auto& file : files) {
                const UniqueFd procs(open(file.c_str(), O_WRONLY | O_CLOEXEC));
                if (!procs || write(procs.get(), "0", 1) != 1) {
                    _exit(99);
                }
            }
            _exit(work());
        }
    }
    ~Joined() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            wait();
        }
    }
    Joined(const Joined&) = delete;
    Joined& operator=(const Joined&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Its wait status.
    int wait() {
        int status = -1;
        waitpid(pid_, &status, 0);
        pid_ = 0;
        return status;
    }

private:
    pid_t pid_;
};

int wait_for_ever() {
    for (;;) {
        pause();
    }
}

/// Writes to so much memory.
int use_memory(std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return 98;
    }
    std::memset(memory, 1, bytes);
    return 0;
}

bool ended_by_kill(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST_CASE("cgroup: what needs more memory than it may is killed, and that is counted") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    REQUIRE(groups->make("web.0", {.memory = 16 * kMiB}));
    CHECK(groups->events("web.0").oom_kills == 0);
    Joined modest(groups->join_files("web.0"), [] { return use_memory(4 * kMiB); });
    CHECK(modest.wait() == 0);
    Joined greedy(groups->join_files("web.0"), [] { return use_memory(64 * kMiB); });
    CHECK(ended_by_kill(greedy.wait()));
    CHECK(groups->events("web.0").oom_kills >= 1);
}

TEST_CASE("cgroup: on v2 the whole group ends when its memory runs out") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    if (!groups.layout().memory->v2) {
        skip("the memory controller is v1's here");
        return;
    }
    REQUIRE(groups->make("web.0", {.memory = 16 * kMiB}));
    Joined small(groups->join_files("web.0"), [] { return use_memory(kMiB) + wait_for_ever(); });
    REQUIRE(eventually([&] { return groups->events("web.0").memory_now >= kMiB; }));
    Joined greedy(groups->join_files("web.0"), [] { return use_memory(64 * kMiB); });
    CHECK(ended_by_kill(greedy.wait()));
    CHECK(ended_by_kill(small.wait()));
}

TEST_CASE("cgroup: a fork bomb is bounded, and what it was refused is counted") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    REQUIRE(groups->make("web.0", {.pids = 10}));
    Joined bomb(groups->join_files("web.0"), [] {
        int made = 0;
        for (int i = 0; i < 50; ++i) {
            const pid_t pid = fork();
            if (pid == 0) {
                wait_for_ever();
            }
            made += pid > 0 ? 1 : 0;
        }
        return made;
    });
    const int status = bomb.wait();
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 9);  // and itself
    const auto events = groups->events("web.0");
    CHECK(events.forks_refused >= 1);
    CHECK(events.pids_now == 9);
    CHECK(eventually([&] { return static_cast<bool>(groups->remove("web.0")); }));
    CHECK_FALSE(groups->exists("web.0"));
}

TEST_CASE("cgroup: a share of a CPU is what the kernel reads back") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    REQUIRE(groups->make("web.0", {.cpu = 50}));
    const auto& cpu = groups.layout().cpu;
    if (cpu->v2) {
        CHECK(Groups::text(cpu, "web.0", "cpu.max", "") == "50000 100000");
    } else {
        CHECK(Groups::text(cpu, "web.0", "", "cpu.cfs_quota_us") == "50000");
        CHECK(Groups::text(cpu, "web.0", "", "cpu.cfs_period_us") == "100000");
    }
}

TEST_CASE("cgroup: what is used now is told") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    REQUIRE(groups->make("web.0", kAll));
    CHECK(groups->events("web.0").pids_now == 0);
    Joined user(groups->join_files("web.0"), [] { return use_memory(8 * kMiB) + wait_for_ever(); });
    CHECK(eventually([&] { return groups->events("web.0").memory_now >= 8 * kMiB; }));
    CHECK(groups->events("web.0").pids_now == 1);
    CHECK(groups->events("api.0") == CgroupEvents{});
}

TEST_CASE("cgroup: a group is made only where a limit needs it") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    REQUIRE(groups->make("web.0", {}));
    CHECK_FALSE(groups->exists("web.0"));
    CHECK(groups->join_files("web.0").empty());
    REQUIRE(groups->make("web.0", {.pids = 32}));
    const auto files = groups->join_files("web.0");
    REQUIRE(files.size() == 1);
    const auto& pids = *groups.layout().pids;
    CHECK(files[0] == pids.mount + "/cgtest/web.0/" + (pids.v2 ? "cgroup.procs" : "tasks"));
}

TEST_CASE("cgroup: limits can be raised, lowered and ended") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    for (const std::uint64_t size : {64U, 256U, 16U}) {
        REQUIRE(groups->make("web.0", {.memory = size * kMiB, .pids = 32}));
        CHECK(groups.memory("web.0") == std::to_string(size * kMiB));
    }
    REQUIRE(groups->make("web.0", {}));
    CHECK(groups.pids("web.0") == "max");
    CHECK(groups.memory("web.0") != std::to_string(16 * kMiB));
    Joined user(groups->join_files("web.0"), [] { return use_memory(32 * kMiB); });
    CHECK(user.wait() == 0);
}

/// Sets or clears the read-only flag of a mount in this sandbox.
bool set_read_only(const std::string& mount_point, bool on) {
    return mount(nullptr, mount_point.c_str(), nullptr, MS_REMOUNT | MS_BIND | (on ? 1UL * MS_RDONLY : 0UL), nullptr) ==
           0;
}

TEST_CASE("cgroup: to make what is there writes nothing") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    const std::vector<std::string> mounts = {groups.layout().memory->mount, groups.layout().cpu->mount,
                                             groups.layout().pids->mount};
    REQUIRE(groups->make("web.0", kAll));
    REQUIRE(groups->make("api.0", {.pids = 8}));
    for (const auto& mount_point : mounts) {
        REQUIRE(set_read_only(mount_point, true));
    }
    CHECK(groups->make("web.0", kAll));
    CHECK(groups->make("api.0", {.pids = 8}));
    const auto other = groups->make("web.0", {64 * kMiB, 50, 33});
    for (const auto& mount_point : mounts) {
        REQUIRE(set_read_only(mount_point, false));
    }
    REQUIRE_FALSE(other);
    CHECK(other.error().errno_code == EROFS);
}

TEST_CASE("cgroup: an error leaves no new group, and those that were there") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    const auto& layout = groups.layout();
    if (layout.memory->mount == layout.pids->mount) {
        skip("memory and pids share a hierarchy here");
        return;
    }
    const std::string memory = layout.memory->mount + "/cgtest";
    REQUIRE(set_read_only(layout.pids->mount, true));
    const auto alone = groups->make("web.0", kAll);
    const bool left = is_there(memory);
    CHECK(groups->make("old.0", {.memory = 64 * kMiB}));
    const auto beside = groups->make("old.0", kAll);
    REQUIRE(set_read_only(layout.pids->mount, false));
    REQUIRE_FALSE(alone);
    CHECK(alone.error().what.find(layout.pids->mount + "/cgtest") != std::string::npos);
    CHECK_FALSE(left);
    CHECK_FALSE(beside);
    CHECK(is_there(memory + "/old.0"));
    CHECK_FALSE(is_there(memory + "/web.0"));
}

TEST_CASE("cgroup: to remove a group ends what is in it") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    REQUIRE(groups->make("web.0", kAll));
    Joined one(groups->join_files("web.0"), wait_for_ever);
    Joined two(groups->join_files("web.0"), wait_for_ever);
    REQUIRE(eventually([&] { return groups->events("web.0").pids_now == 2; }));
    CHECK(eventually([&] {
        const auto done = groups->remove("web.0");
        CHECK_MESSAGE((done || done.error().errno_code == EBUSY), done.error().what);
        return static_cast<bool>(done);
    }));
    CHECK(ended_by_kill(one.wait()));
    CHECK(ended_by_kill(two.wait()));
    CHECK_FALSE(groups->exists("web.0"));
    CHECK(groups->remove("web.0"));
}

TEST_CASE("cgroup: the instance's group goes with the last one, and nobody else's ever") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    const std::string root = groups.layout().memory->mount;
    REQUIRE(mkdir((root + "/others").c_str(), 0755) == 0);
    Joined other({root + "/others/cgroup.procs"}, wait_for_ever);
    REQUIRE(groups->make("web.0", kAll));
    REQUIRE(groups->make("web.1", kAll));
    CHECK(groups->names().operator*() == std::vector<std::string>{"web.0", "web.1"});
    CHECK(groups->remove("web.0"));
    CHECK(groups->names().operator*() == std::vector<std::string>{"web.1"});
    CHECK(groups->remove("web.1"));
    CHECK_FALSE(is_there(root + "/cgtest"));
    CHECK_FALSE(is_there(groups.layout().pids->mount + "/cgtest"));
    CHECK(groups->names().operator*().empty());
    CHECK(kill(other.pid(), 0) == 0);
    kill(other.pid(), SIGKILL);
    CHECK(ended_by_kill(other.wait()));
    CHECK(eventually([&] { return rmdir((root + "/others").c_str()) == 0; }));
}

TEST_CASE("cgroup: half of a group is still a group, and goes as a whole one does") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    const auto& layout = groups.layout();
    if (layout.memory->mount == layout.pids->mount) {
        skip("memory and pids share a hierarchy here");
        return;
    }
    REQUIRE(groups->make("web.0", kAll));
    REQUIRE(rmdir((layout.memory->mount + "/cgtest/web.0").c_str()) == 0);
    CHECK(groups->exists("web.0"));
    CHECK(groups->names().operator*() == std::vector<std::string>{"web.0"});
    SUBCASE("made whole") {
        CHECK(groups->make("web.0", kAll));
        CHECK(groups.memory("web.0") == std::to_string(*kAll.memory));
    }
    CHECK(groups->remove("web.0"));
    CHECK_FALSE(groups->exists("web.0"));
}

TEST_CASE("cgroup: what cannot be limited here is named") {
    Groups groups;
    if (!groups.usable()) {
        return;
    }
    const std::string mount_point = groups.layout().pids->mount;
    SUBCASE("a hierarchy that something else hides") {
        REQUIRE(mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=4k") == 0);
    }
    SUBCASE("a hierarchy that is read-only") {
        REQUIRE(mount(mount_point.c_str(), mount_point.c_str(), nullptr, MS_BIND, nullptr) == 0);
        REQUIRE(set_read_only(mount_point, true));
    }
    const auto without = Cgroups::open("cgtest");
    REQUIRE(umount2(mount_point.c_str(), MNT_DETACH) == 0);
    REQUIRE(without);
    CHECK_FALSE(without->layout().pids);
    const auto missing = without->missing(kAll);
    CHECK(std::ranges::find(missing, "pids") != missing.end());
    CHECK(without->missing({}).empty());
}

}  // namespace
}  // namespace viscum
