// SPDX-License-Identifier: GPL-2.0-only
// What a service may do.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstddef>

#include "base/file.h"
#include "base/text.h"
#include "controller/sandbox/cgroup.h"
#include "controller/sandbox/seccomp.h"
#include "tests/root/sandbox/inside.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

/// A line of /proc/self/status, as the service reads it.
std::string status_line(Inside& inside, const std::string& key) {
    const std::string text = inside.say(cat("grep '^", key, ":' /proc/self/status"));
    const auto tab = text.find('\t');
    return tab == std::string::npos ? text : text.substr(tab + 1, text.size() - tab - 2);
}

/// A filter that denies one system call, as the kernel takes it.
std::string denying(int number) {
    const std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    return {reinterpret_cast<const char*>(program.data()), sizeof program};
}

TEST_CASE("sandbox: every namespace is the service's own") {
    Inside inside;
    for (const std::string name : {"mnt", "pid", "ipc", "uts", "cgroup"}) {
        CAPTURE(name);
        const std::string text = inside.say("readlink /proc/self/ns/" + name);
        CHECK(text.starts_with(name + ":["));
        CHECK(text != target_of("/proc/self/ns/" + name) + "\n");
    }
    CHECK(inside.say("hostname; cat /etc/hostname") == "web\nweb\n");
    CHECK(target_of("/proc/self/ns/uts") == target_of(cat("/proc/", getpid(), "/ns/uts")));
}

TEST_CASE("sandbox: no capability in any of the five sets, and no way to one") {
    Inside inside;
    SUBCASE("an account of its own") {}
    SUBCASE("root") {
        inside.input.identity = {};
        inside.service.sandbox.allow = {"root"};
    }
    for (const char* key : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
        CAPTURE(key);
        CHECK(status_line(inside, key) == "0000000000000000");
    }
    CHECK(status_line(inside, "NoNewPrivs") == "1");
}

TEST_CASE("sandbox: capabilities that are allowed are those, and survive the start") {
    Inside inside;
    inside.service.sandbox.allow = {"cap_net_raw", "cap_setuid"};
    std::string expected = "0000000000002080";
    std::string ambient = expected;
    SUBCASE("an account of its own") {}
    SUBCASE("root") {
        inside.input.identity = {};
        inside.service.sandbox.allow.insert("root");
        ambient = "0000000000000000";
    }
    if (capability_mask(inside.service.sandbox.allow) == 0) {
        skip("capability_mask() is not there");
        return;
    }
    CHECK(status_line(inside, "CapEff") == expected);
    CHECK(status_line(inside, "CapPrm") == expected);
    CHECK(status_line(inside, "CapBnd") == expected);
    CHECK(status_line(inside, "CapAmb") == ambient);
}

TEST_CASE("sandbox: the user and his groups are those that were given") {
    Inside inside;
    inside.input.identity = {kOwnUid, kOwnUid + 1, {4242, 4243}, "", "/"};
    CHECK(inside.say("id -u; id -g; id -G") == cat(kOwnUid, "\n", kOwnUid + 1, "\n", kOwnUid + 1, " 4242 4243\n"));
    CHECK(status_line(inside, "Uid") == cat(kOwnUid, "\t", kOwnUid, "\t", kOwnUid, "\t", kOwnUid));
}

TEST_CASE("sandbox: root runs only where that is allowed") {
    Inside inside;
    inside.input.identity = {};
    inside.input.spec = &inside.service;
    const auto refused = make_sandbox(inside.input);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().what == "to run as root needs 'sandbox: {allow: [root]}'");
}

TEST_CASE("sandbox: the filter is in force") {
    Inside inside;
    CHECK(status_line(inside, "Seccomp") == "0");
    inside.input.seccomp = denying(SYS_mkdir);
    CHECK(status_line(inside, "Seccomp") == "2");
    CHECK(inside.say("mkdir /tmp/x 2>&1; echo $?") ==
          "mkdir: cannot create directory '/tmp/x': Operation not permitted\n1\n");
}

TEST_CASE("sandbox: a filter that is not the one it was made with starts nothing") {
    Inside inside;
    inside.input.seccomp = denying(SYS_mkdir);
    inside.prepared().sandbox.seccomp.clear();
    Process process = must(Process::launch(inside.spec, inside.ns));
    CHECK(inside.finish(process).text == "cannot read 'seccomp': Invalid argument");
}

TEST_CASE("sandbox: instructions that were not written to their end start nothing") {
    Inside inside;
    const std::string words = inside.prepared().sandbox.words;
    for (const std::size_t length : {std::size_t{0}, words.size() / 2, words.size() - 4, words.size() - 1}) {
        CAPTURE(length);
        inside.spec.sandbox.words = words.substr(0, length);
        Process process = must(Process::launch(inside.spec, inside.ns));
        CHECK(inside.finish(process).text == "cannot read 'sandbox': Invalid argument");
    }
}

TEST_CASE("sandbox: resource limits are lowered, and never raised") {
    Inside inside;
    inside.service.limits.open_files.value = 100;
    inside.service.limits.pids.value = 20;
    CHECK(inside.say("ulimit -Sn; ulimit -Hn; ulimit -Hc; ulimit -Hl") == "100\n100\n0\n64\n");
    // In blocks of 512 bytes 1 is 0.
    const std::string limits = inside.say("grep -E 'core|processes|msgqueue' /proc/self/limits | tr -s ' '");
    CHECK(limits ==
          "Max core file size 1 1 bytes \nMax processes 40 40 processes \nMax msgqueue size 65536 65536 bytes \n");
    rlimit files{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
    inside.service.limits.open_files.value = 4'000'000'000U;
    CHECK(inside.say("ulimit -Hn") == cat(files.rlim_max, "\n"));
}

TEST_CASE("sandbox: three descriptors, and none of them leads to the host") {
    Inside inside;
    CHECK(inside.say("ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3 \n");  // ls's own
    CHECK(inside.say("for f in 0 1 2; do readlink /proc/self/fd/$f; done | sed 's/[0-9].*//'") ==
          "/dev/null\npipe:[\npipe:[\n");
}

TEST_CASE("sandbox: a child that forks twice ends with the service") {
    Inside inside("(setsid sh -c 'sleep 515151 & sleep 515151' &); exit 3");
    CHECK(inside.launch_and_finish() == ExitStatus{ExitStatus::Kind::exited, 3, ""});
    CHECK(processes_with("515151").empty());
}

TEST_CASE("sandbox: it starts in its directory") {
    Inside inside;
    inside.service.run.directory = "/usr/bin";
    CHECK(inside.say("pwd") == "/usr/bin\n");
    inside.service.run.directory = "/no/such";
    CHECK(inside.say("pwd") == "cannot change to '/no/such': No such file or directory");
}

TEST_CASE("sandbox: a command without a slash is looked up in the service's PATH") {
    Inside inside;
    inside.with({{"PATH", "/none:/usr/bin"}});
    inside.spec.command = {"echo", "found"};
    CHECK(inside.words() == "found\n");
    inside.spec.command = {"no-such-command"};
    CHECK(inside.launch_and_finish().text == "cannot run 'no-such-command': No such file or directory");
}

TEST_CASE("sandbox: the shim keeps no right but to signal, and the service cannot trace it") {
    Inside inside("exec sleep 1000");
    SUBCASE("an account of its own") {}
    SUBCASE("root") {
        inside.input.identity = {};
        inside.service.sandbox.allow = {"root"};
    }
    Process process = inside.launch();
    REQUIRE(eventually([&] { return status_of(process.pid(), "CapPrm") == "0000000000000020"; }));
    const Output output =
        enter_and_finish(beside(inside, {"/bin/sh", "-c", "ls /proc/1/root/ /proc/1/fd/ 2> /dev/null; kill -9 1"}));
    CHECK(output.text.find("usr") == std::string::npos);
    CHECK(output.text.find("3") == std::string::npos);
    CHECK(process.signal(SIGTERM));
    CHECK(inside.finish(process) == ExitStatus{ExitStatus::Kind::signaled, SIGTERM, ""});
}

TEST_CASE("sandbox: not even root with the shim's own capability gets at what the shim holds open") {
    Inside inside(
        "ls /proc/1/root/ /proc/1/cwd/ 2> /dev/null; for f in /proc/1/fd/*; do readlink $f; done; "
        "cat /proc/1/environ 2> /dev/null; echo done");
    inside.input.identity = {};
    inside.service.sandbox.allow = {"root", "proc", "cap_kill"};
    CHECK(inside.words() == "done\n");
}

/// The groups of a test, which go with it.
struct Groups {
    Cgroups cgroups = must(Cgroups::open("shimtest"));
    ~Groups() {
        (void)eventually([this] { return static_cast<bool>(cgroups.remove("web.0")); });
    }
};

TEST_CASE("sandbox: the service is in its groups, does not see where they are, and the shim is in none") {
    const Groups groups;
    if (!groups.cgroups.missing({64UL << 20, {}, 16}).empty() || !groups.cgroups.make("web.0", {64UL << 20, {}, 16})) {
        skip("needs cgroups that can be written");
        return;
    }
    Inside inside("cat /proc/self/cgroup; exec sleep 1000");
    inside.input.cgroup_files = groups.cgroups.join_files("web.0");
    REQUIRE_FALSE(inside.input.cgroup_files.empty());
    Process process = inside.launch();
    REQUIRE(eventually([&] { return inside.said().find("pids") != std::string::npos; }));
    CHECK(inside.said().find("shimtest") == std::string::npos);
    const auto groups_of = [](pid_t pid) { return must(read_file(cat("/proc/", pid, "/cgroup"), 10000)); };
    REQUIRE(children_of(process.pid()).size() == 1);
    CHECK(groups_of(children_of(process.pid())[0]).find("/shimtest/web.0") != std::string::npos);
    CHECK(groups_of(process.pid()).find("/shimtest/") == std::string::npos);
    CHECK(eventually([&] { return groups.cgroups.events("web.0").pids_now == 1; }));
    const Output output =
        enter_and_finish(beside(inside, {"/bin/sh", "-c", "cat /proc/self/cgroup; sleep 0.1 & wait"}));
    CHECK(output.status.success());
    CHECK(output.text.find("shimtest") == std::string::npos);
    CHECK(output.text.find("pids:/\n") != std::string::npos);
    // A fork bomb hurts neither the shim nor the way in for others' signals.
    CHECK(enter_and_finish(beside(inside, {"/bin/sh", "-c",
                                           "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do "
                                           "sleep 525252 > /dev/null 2>&1 & done"}))
              .text.find("fork") != std::string::npos);
    CHECK(groups.cgroups.events("web.0").forks_refused > 0);
    CHECK(process.kill());
    inside.finish(process);
    CHECK(processes_with("525252").empty());
}

TEST_CASE("sandbox: a group that is not there starts nothing") {
    Inside inside;
    inside.input.cgroup_files = {"/sys/fs/cgroup/none/cgroup.procs"};
    CHECK(inside.say("true") == "cannot open '/sys/fs/cgroup/none/cgroup.procs': No such file or directory");
}

/// Launches where one system call is not there.
ExitStatus launch_without(Inside& inside, int number) {
    inside.prepared();
    const std::string filter = [number] {
        std::string bytes = denying(number);
        reinterpret_cast<sock_filter*>(bytes.data())[2].k = SECCOMP_RET_ERRNO | ENOSYS;
        return bytes;
    }();
    const pid_t child = fork();
    if (child == 0) {
        sock_fprog program{static_cast<unsigned short>(filter.size() / sizeof(sock_filter)),
                           reinterpret_cast<sock_filter*>(const_cast<char*>(filter.data()))};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
        auto process = Process::launch(inside.spec, inside.ns);
        _exit(process && ended(process->pidfd()) ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    return last_exit(inside.spec.run_dir).value_or(ExitStatus{});
}

TEST_CASE("sandbox: kernels before 5.12, without mount_setattr, make the same mounts") {
    const std::string script = "cut -d' ' -f5,6 /proc/self/mountinfo";
    Inside inside(script);
    const std::string with = inside.say(script);
    CHECK(with.find("/tmp rw,nosuid,nodev") != std::string::npos);
    (void)remove_file(inside.spec.log_file);
    CHECK(launch_without(inside, SYS_mount_setattr) == ExitStatus{ExitStatus::Kind::exited, 0, ""});
    CHECK(inside.said() == with);
}

}  // namespace
}  // namespace viscum
