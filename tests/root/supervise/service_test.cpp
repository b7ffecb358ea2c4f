// SPDX-License-Identifier: GPL-2.0-only
// What a service finds around it.
#include <pwd.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/supervise/fixture.h"

namespace viscum {
namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";

/// The service's main process; the shim has no other child.
pid_t service_of(const Process& process, const std::string& name) {
    std::vector<pid_t> children;
    REQUIRE(eventually([&] {
        children = children_of(process.pid());
        return children.size() == 1 && status_of(children[0], "Name") == name;
    }));
    return children[0];
}

TEST_CASE("service: it sees its own processes and no others, not even the shim") {
    Run run({"/bin/sh", "-c", "echo $$ /proc/[0-9]*"});
    CHECK(run.words() == "2 /proc/2\n");
}

TEST_CASE("service: its mounts do not show on the host") {
    const auto before = must(read_file("/proc/self/mountinfo", 1 << 20));
    Run run({"/bin/sleep", "1000"});
    const Process process = run.launch();
    const pid_t service = service_of(process, "sleep");
    CHECK(must(read_file("/proc/self/mountinfo", 1 << 20)) == before);
    CHECK(target_of(cat("/proc/", service, "/ns/mnt")) != target_of("/proc/self/ns/mnt"));
    CHECK(target_of(cat("/proc/", service, "/ns/pid")) != target_of("/proc/self/ns/pid"));
}

TEST_CASE("service: it runs in the namespace that it is given") {
    Run run({"/bin/sleep", "1000"});
    run.ns = must(NetNs::create("supervise"));
    const Process process = run.launch();
    CHECK(target_of(cat("/proc/", service_of(process, "sleep"), "/ns/net")) == cat("net:[", run.ns.inode(), "]"));
    CHECK(target_of("/proc/self/ns/net") != cat("net:[", run.ns.inode(), "]"));
    CHECK(remove_net_ns_name("supervise"));
}

TEST_CASE("service: it has the standard streams and no other descriptor") {
    Run run({"/bin/sleep", "1000"});
    const UniqueFd open_here(dup(0));  // not CLOEXEC: even this must not reach it
    const Process process = run.launch();
    const pid_t service = service_of(process, "sleep");
    CHECK(join(must(list_directory(cat("/proc/", service, "/fd"))), " ") == "0 1 2");
    CHECK(target_of(cat("/proc/", service, "/fd/0")) == "/dev/null");
    CHECK(target_of(cat("/proc/", service, "/fd/1")).starts_with("pipe:"));
    CHECK(target_of(cat("/proc/", service, "/fd/1")) == target_of(cat("/proc/", service, "/fd/2")));
}

TEST_CASE("service: its signals are as a program expects them, whatever the launcher blocks and ignores") {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const auto old = ::signal(SIGPIPE, SIG_IGN);
    Run run({"/bin/sleep", "1000"});
    const Process process = run.launch();
    sigprocmask(SIG_SETMASK, &before, nullptr);
    ::signal(SIGPIPE, old);
    const pid_t service = service_of(process, "sleep");
    CHECK(status_of(service, "SigBlk") == "0000000000000000");
    CHECK(status_of(service, "SigIgn") == "0000000000000000");
}

TEST_CASE("service: it has a session, a working directory and a file mask of its own") {
    const mode_t before = umask(077);
    Run run({"/bin/sleep", "1000"});
    const Process process = run.launch();
    umask(before);
    const pid_t service = service_of(process, "sleep");
    CHECK(getsid(service) == service);
    CHECK(target_of(cat("/proc/", service, "/cwd")) == "/");
    CHECK(status_of(service, "Umask") == "0022");
}

TEST_CASE("service: its environment is exactly what it was given") {
    REQUIRE(setenv("VISCUM_SECRET", "of the daemon", 1) == 0);
    Run run({"/usr/bin/env"});
    SUBCASE("nothing") {
        CHECK(run.words() == cat("HOME=/root\n", kPath));
    }
    SUBCASE("a variable") {
        run.with({{"LOG_LEVEL", "in fo"}});
        CHECK(run.words() == cat("HOME=/root\nLOG_LEVEL=in fo\n", kPath));
    }
    SUBCASE("its own PATH") {
        run.with({{"PATH", "/srv"}, {"HOME", "/x"}});
        CHECK(run.words() == "HOME=/x\nPATH=/srv\n");
    }
    SUBCASE("a user") {
        run.as("nobody");
        CHECK(run.words() == cat("HOME=/nonexistent\n", kPath, "USER=nobody\n"));
    }
    SUBCASE("a number that passwd does not know") {
        run.as("54321");
        CHECK(run.words() == cat("HOME=/\n", kPath));
    }
    unsetenv("VISCUM_SECRET");
}

TEST_CASE("service: it runs as its user, with that user's groups") {
    Run run({"/bin/sh", "-c", "id -u; id -g; id -G"});
    SUBCASE("root has no supplementary groups") {
        CHECK(run.words() == "0\n0\n0\n");
    }
    SUBCASE("by name, with a group that only lists it") {
        auto groups = must(read_file("/etc/group", 1 << 20));
        REQUIRE(write_file_atomically("/etc/group", groups + "radio:x:4242:nobody\n", 0644));
        const passwd* nobody = getpwnam("nobody");
        REQUIRE(nobody != nullptr);
        run.as("nobody");
        CHECK(run.words() == cat(nobody->pw_uid, "\n", nobody->pw_gid, "\n", nobody->pw_gid, " 4242\n"));
        REQUIRE(write_file_atomically("/etc/group", groups, 0644));
    }
    SUBCASE("by a number that passwd does not know") {
        run.as("54321");
        CHECK(run.words() == "54321\n54321\n54321\n");
    }
}

TEST_CASE("service: its arguments arrive as they are") {
    Run run({"/usr/bin/printf", "<%s>", "", "a b", "-x", "--", "$HOME", "\xff\n'"});
    CHECK(run.words() == "<><a b><-x><--><$HOME><\xff\n'>\n");
}

}  // namespace
}  // namespace viscum
