// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "controller/sandbox/audit.h"

using namespace viscum;

namespace {

/// A process that did `prepare` and waits until this object goes. `prepare` says whether it could.
class Prepared {
public:
    explicit Prepared(const std::function<bool()>& prepare) {
        std::array<int, 2> ends{};
        REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
        const UniqueFd reader(ends[0]);
        UniqueFd writer(ends[1]);
        pid_ = fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            const char done = prepare() ? 'y' : 'n';
            static_cast<void>(write(writer.get(), &done, 1) == 1);
            pause();
            _exit(0);
        }
        writer.reset();
        char done = 'n';
        REQUIRE(read(reader.get(), &done, 1) == 1);
        REQUIRE(done == 'y');
    }
    ~Prepared() { end(); }
    Prepared(const Prepared&) = delete;
    Prepared& operator=(const Prepared&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void kill_only() const { kill(pid_, SIGKILL); }
    void end() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
            pid_ = 0;
        }
    }

private:
    pid_t pid_ = 0;
};

ProcessFacts facts_of(const Prepared& process) {
    auto facts = read_process_facts(process.pid());
    if (!facts) {
        FAIL(facts.error().what);
    }
    return *facts;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Becomes the only process of a root in memory, with a /proc, a /dev and an empty /sys.
bool enter_small_root(const char* proc_options, bool masked) {
    const std::string root = "/tmp/facts";
    std::error_code ignored;
    std::filesystem::create_directory(root, ignored);
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", root.c_str(), "tmpfs", 0, nullptr) != 0) {
        return false;
    }
    for (const auto* const name : {"proc", "sys", "dev", "dev/net"}) {
        mkdir((root + "/" + name).c_str(), 0755);
    }
    const bool made = mknod((root + "/dev/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0 &&
                      mknod((root + "/dev/kmsg").c_str(), S_IFCHR | 0600, makedev(1, 11)) == 0 &&
                      mknod((root + "/dev/net/tun").c_str(), S_IFCHR | 0600, makedev(10, 200)) == 0 &&
                      symlink("/proc/self/fd", (root + "/dev/fd").c_str()) == 0 &&
                      mount("proc", (root + "/proc").c_str(), "proc", 0, proc_options) == 0 &&
                      (!masked || mount((root + "/dev/null").c_str(), (root + "/proc/version").c_str(), nullptr,
                                        MS_BIND, nullptr) == 0);
    return made && mount(nullptr, root.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0 &&
           chroot(root.c_str()) == 0 && chdir("/") == 0;
}

}  // namespace

TEST_CASE("facts: a process that nothing was taken from is seen as it is") {
    const Prepared process([] { return true; });
    const auto facts = facts_of(process);
    CHECK(facts.uid == 0);
    CHECK(facts.gid == 0);
    CHECK(facts.capabilities != 0);
    CHECK_FALSE(facts.no_new_privs);
    CHECK_FALSE(facts.seccomp);
    CHECK(facts.shared_namespaces == std::vector<std::string>{"mnt", "pid", "ipc", "uts", "net", "cgroup"});
    CHECK(facts.sees_sys);
    CHECK(facts.sees_processes);
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(facts.open_files == limit.rlim_max);
    CHECK(facts.devices.size() > 1);
    CHECK_FALSE(contains(facts.devices, "null"));
}

TEST_CASE("facts: identity, limits and no_new_privs are the process's own") {
    const Prepared process([] {
        const rlimit files{64, 256};
        const rlimit core{1, 1};
        return setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_CORE, &core) == 0 &&
               prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setresgid(23456, 23456, 23456) == 0 &&
               setresuid(12345, 12345, 12345) == 0;
    });
    const auto facts = facts_of(process);
    CHECK(facts.uid == 12345);
    CHECK(facts.gid == 23456);
    CHECK(facts.no_new_privs);
    CHECK(facts.open_files == 256);
    CHECK_FALSE(facts.core_dumps);
    CHECK(facts.capabilities != 0);  // the bounding set counts
}

TEST_CASE("facts: a uid of root in any of the four places is root") {
    const Prepared process([] { return setresuid(12345, 12345, 0) == 0; });
    CHECK(facts_of(process).uid == 0);
}

TEST_CASE("facts: a core that may be written is seen") {
    const Prepared process([] {
        const rlimit core{0, 4096};
        return setrlimit(RLIMIT_CORE, &core) == 0;
    });
    CHECK(facts_of(process).core_dumps);
}

TEST_CASE("facts: its own root, devices and namespaces are looked at, not the caller's") {
    const Prepared process([] { return enter_small_root("hidepid=2", true); });
    const auto facts = facts_of(process);
    CHECK(facts.shared_namespaces == std::vector<std::string>{"pid", "cgroup"});
    CHECK_FALSE(facts.root_writable);
    CHECK_FALSE(facts.sees_sys);
    CHECK_FALSE(facts.sees_processes);
    CHECK(facts.devices == std::vector<std::string>{"kmsg", "net/tun"});
}

TEST_CASE("facts: a /proc hides only with both hidepid and masks, or with processes alone in it") {
    const auto sees = [](const char* options, bool masked) {
        const Prepared process([&] { return enter_small_root(options, masked); });
        return facts_of(process).sees_processes;
    };
    CHECK(sees(nullptr, false));
    CHECK(sees(nullptr, true));
    CHECK(sees("hidepid=2", false));
    CHECK_FALSE(sees("hidepid=invisible", true));
    CHECK_FALSE(sees("hidepid=invisible,subset=pid", false));
}

TEST_CASE("facts: a link in the service's root leads nowhere") {
    const Prepared process([] {
        return enter_small_root("hidepid=2", true) && mount("tmpfs", "/dev", "tmpfs", 0, nullptr) == 0 &&
               mount("tmpfs", "/sys", "tmpfs", 0, nullptr) == 0 && symlink("/", "/dev/net") == 0;
    });
    const auto facts = facts_of(process);
    CHECK(facts.devices.empty());
    CHECK_FALSE(facts.sees_sys);
}

TEST_CASE("facts: of a process that ended there are none, not half of them") {
    Prepared process([] { return true; });
    process.kill_only();
    siginfo_t info{};
    REQUIRE(waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOWAIT) == 0);
    const auto zombie = read_process_facts(process.pid());
    REQUIRE_FALSE(zombie);
    CHECK(zombie.error().errno_code == ESRCH);
    const pid_t pid = process.pid();
    process.end();
    const auto gone = read_process_facts(pid);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().errno_code == ESRCH);
}
