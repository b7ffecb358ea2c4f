// SPDX-License-Identifier: GPL-2.0-only
// Commands that run once beside a service.
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include <csignal>

#include "base/file.h"
#include "base/text.h"
#include "controller/supervise/run_directory.h"
#include "tests/root/supervise/fixture.h"

namespace viscum {
namespace {

using Kind = ExitStatus::Kind;

/// A service that runs, with its sandbox.
struct Beside {
    Run run{{"/bin/sleep", "1000"}};
    std::optional<Process> process;

    Process& start() {
        process.emplace(run.launch());
        REQUIRE(eventually([this] { return bool(sandbox_stands(run.spec.run_dir)); }));
        return *process;
    }
    Output say(Argv command) const { return enter_and_finish(beside(run, std::move(command))); }
};

TEST_CASE("enter: the exit status comes back") {
    Beside service;
    service.start();
    const Output output = service.say({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
    CHECK(output.text == "out\nerr\n");
    CHECK(output.status == ExitStatus{Kind::exited, 3, ""});
}

TEST_CASE("enter: a signal comes back as a shell says it") {
    Beside service;
    service.start();
    CHECK(service.say({"/bin/sh", "-c", "kill -TERM $$"}).status == ExitStatus{Kind::exited, 128 + SIGTERM, ""});
}

TEST_CASE("enter: a command that cannot be run is an error at once") {
    Beside service;
    service.start();
    const auto process = enter(beside(service.run, {"/no/such/command"}));
    REQUIRE_FALSE(process);
    CHECK(process.error() == Error{ENOENT, "cannot run '/no/such/command': No such file or directory"});
    CHECK(children_of(getpid()) == std::vector<pid_t>{service.process->pid()});
}

TEST_CASE("enter: a command is looked up in the service's PATH") {
    Beside service;
    service.run.with({{"PATH", "/etc:/none:/usr/bin"}});
    service.start();
    CHECK(service.say({"echo", "found"}).text == "found\n");
    CHECK(service.say({"no-such-command"}).status.text == "cannot run 'no-such-command': No such file or directory");
    CHECK(service.say({"passwd"}).status.success() == false);
    EnterSpec other = beside(service.run, {"echo", "found"});
    other.env = {{"PATH", "/etc"}};
    CHECK(enter_and_finish(other).status.kind == Kind::failed);
}

TEST_CASE("enter: the command has the service's user and environment, and what is given beside it") {
    Beside service;
    service.run.as("nobody").with({{"X", "of the service"}, {"Y", "y"}});
    service.start();
    EnterSpec spec =
        beside(service.run, {"/bin/sh", "-c", "id -u; id -G; echo $USER $HOME $X $Y; ls /proc/self/fd | wc -l"});
    spec.env = {{"X", "x"}};
    CHECK(enter_and_finish(spec).text == "65534\n65534\nnobody /nonexistent x y\n4\n");  // 0-2 and ls's own
}

TEST_CASE("enter: it reads what it is given") {
    Beside service;
    service.start();
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    REQUIRE(write(writer.get(), "word", 4) == 4);
    writer.reset();
    EnterSpec spec = beside(service.run, {"/bin/cat"});
    spec.in = reader.get();
    CHECK(enter_and_finish(spec).text == "word");
}

TEST_CASE("enter: it is in all namespaces of the service") {
    Beside service;
    service.run.ns = must(NetNs::create("entered"));
    Process& process = service.start();
    const pid_t main = children_of(process.pid())[0];
    for (const std::string name : {"mnt", "pid", "ipc", "uts", "net"}) {
        CAPTURE(name);
        const std::string path = "/proc/self/ns/" + name;
        CHECK(service.say({"/usr/bin/readlink", path}).text == target_of(cat("/proc/", main, "/ns/", name)) + "\n");
        CHECK(target_of(cat("/proc/", main, "/ns/", name)) != target_of(path));
    }
    CHECK(target_of(cat("/proc/", main, "/ns/cgroup")) != target_of("/proc/self/ns/cgroup"));
    CHECK(remove_net_ns_name("entered"));
}

TEST_CASE("enter: it is confined as the service is") {
    Beside service;
    service.run.as("nobody");
    Process& process = service.start();
    const pid_t main = children_of(process.pid())[0];
    const Output output = service.say({"/bin/cat", "/proc/self/status"});
    for (const char* key : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Uid", "Gid", "Groups"}) {
        CAPTURE(key);
        const std::string line = cat(key, ":\t", status_of(main, key), "\n");
        CHECK_MESSAGE(output.text.find(line) != std::string::npos, line);
    }
    CHECK(service.say({"/bin/sh", "-c", "ls -d /root/* /home/*; echo x > /x"}).text.find("Read-only") !=
          std::string::npos);
    CHECK(service.say({"/bin/cat", "/proc/self/limits"}).text ==
          must(read_file(cat("/proc/", main, "/limits"), 10000)));
}

TEST_CASE("enter: nothing is entered where nothing runs") {
    Run run({"/bin/true"});
    run.launch_and_finish();
    const auto process = enter(beside(run, {"/bin/true"}));
    REQUIRE_FALSE(process);
    CHECK(process.error() == Error{ESRCH, "cannot run '/bin/true': the service does not run"});
}

TEST_CASE("enter: never before the sandbox stands") {
    int early = 0;
    for (int i = 0; i < 20; ++i) {
        Run run({"/bin/sleep", "1000"});
        const Process process = run.launch();
        const auto at_once = enter(beside(run, {"/bin/true"}));
        if (!at_once) {
            CHECK(at_once.error() == Error{EAGAIN, "cannot run '/bin/true': the service is still being started"});
            ++early;
        }
        const Output output = enter_and_finish(beside(run, {"/bin/cat", "/etc/hostname"}));
        CHECK(output.status.success());
        CHECK(output.text == "web\n");
    }
    CHECK(early > 0);
}

TEST_CASE("enter: a command that runs is not reaped, and SIGKILL ends it") {
    Beside service;
    service.start();
    Process process = must(enter(beside(service.run, {"/bin/sleep", "474747"})));
    CHECK(process.reap().kind == Kind::unknown);
    CHECK(process.kill());
    REQUIRE(ended(process.pidfd()));
    CHECK(process.reap() == ExitStatus{Kind::signaled, SIGKILL, ""});
    CHECK(eventually([] { return processes_with("474747").empty(); }));
}

TEST_CASE("enter: signals are handed on") {
    Beside service;
    service.start();
    Process process = must(enter(beside(service.run, {"/bin/sleep", "484848"})));
    CHECK(process.signal(SIGTERM));
    REQUIRE(ended(process.pidfd()));
    CHECK(process.reap() == ExitStatus{Kind::exited, 128 + SIGTERM, ""});
    CHECK(processes_with("484848").empty());
}

TEST_CASE("enter: it ends with the service") {
    Beside service;
    Process& main = service.start();
    Process process = must(enter(beside(service.run, {"/bin/sleep", "494949"})));
    CHECK(main.kill());
    REQUIRE(ended(process.pidfd()));
    CHECK(process.reap() == ExitStatus{Kind::exited, 128 + SIGKILL, ""});
}

TEST_CASE("enter: it dies with the daemon, as root and as a user") {
    Beside service;
    SUBCASE("root") {}
    SUBCASE("a user") {
        service.run.as("nobody");
    }
    service.start();
    const pid_t daemon = fork();
    if (daemon == 0) {
        const auto process = enter(beside(service.run, {"/bin/sleep", "464646"}));
        ::kill(process ? getpid() : 0, SIGKILL);
        _exit(1);
    }
    int status = 0;
    REQUIRE(waitpid(daemon, &status, 0) == daemon);
    REQUIRE(WIFSIGNALED(status));
    CHECK(eventually([] { return processes_with("464646").empty(); }));
}

}  // namespace
}  // namespace viscum
