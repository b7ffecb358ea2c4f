// SPDX-License-Identifier: GPL-2.0-only
// The control groups of sandboxes: nothing of them stays, whatever ends their test.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/sandbox/cgroup.h"
#include "tests/support/cgroups.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

/// The hierarchy that knows pids; empty, and the test is skipped, where there is none.
std::string pids_mount() {
    const auto cgroups = Cgroups::open("cgtest");
    if (!cgroups || !cgroups->layout().pids) {
        skip("no control groups to be used here for: pids");
        return "";
    }
    return cgroups->layout().pids->mount;
}

bool is_there(const std::string& path) {
    return access(path.c_str(), F_OK) == 0;
}

TEST_CASE("test groups: a sandbox's hierarchies are groups without anything of the machine's") {
    const std::string mount = pids_mount();
    if (mount.empty()) {
        return;
    }
    CHECK(is_there(mount + "/pids.max"));  // the root of a hierarchy has no limit
    const UniqueFd procs(open((mount + "/cgroup.procs").c_str(), O_RDONLY | O_CLOEXEC));
    char one = 0;
    CHECK(read(procs.get(), &one, 1) == 0);
}

TEST_CASE("test groups: they go with all that was made below them") {
    const std::string mount = pids_mount();
    if (mount.empty()) {
        return;
    }
    const std::string group = cat(mount, "/viscum-test-", getpid());
    {
        const TestGroups groups;
        REQUIRE(is_there(group));
        REQUIRE(mkdir((group + "/viscum").c_str(), 0755) == 0);
        REQUIRE(mkdir((group + "/viscum/web.0").c_str(), 0755) == 0);
    }
    CHECK_FALSE(is_there(group));
}

TEST_CASE("test groups: what a killed test left goes with the next, what a living one has stays") {
    const std::string mount = pids_mount();
    if (mount.empty()) {
        return;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        const TestGroups groups;
        for (;;) {
            pause();
        }
    }
    const std::string group = cat(mount, "/viscum-test-", pid);
    for (int i = 0; i < 1000 && !is_there(group); ++i) {
        poll(nullptr, 0, 10);
    }
    REQUIRE(mkdir((mount + "/viscum-test-x").c_str(), 0755) == 0);
    { const TestGroups next; }
    CHECK(is_there(group));
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    CHECK(is_there(group));
    { const TestGroups next; }
    CHECK_FALSE(is_there(group));
    CHECK(rmdir((mount + "/viscum-test-x").c_str()) == 0);
}

}  // namespace
}  // namespace viscum
