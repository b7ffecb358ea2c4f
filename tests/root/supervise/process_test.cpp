// SPDX-License-Identifier: GPL-2.0-only
// A service's life under the shim, as viscumd sees it.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <ctime>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/supervise/fixture.h"

namespace viscum {
namespace {

using namespace std::string_literals;
using Kind = ExitStatus::Kind;

std::size_t open_descriptors() {
    return must(list_directory("/proc/self/fd")).size();
}

/// Starts the shim by hand, with descriptor 3 as `report`; its exit status.
int run_shim(const Run& run, int report) {
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(report, 3);
        execl(run.spec.shim_path.c_str(), "viscum-shim", "web", run.spec.run_dir.c_str(), run.spec.log_file.c_str(),
              "65536", "/bin/true", nullptr);
        _exit(99);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("process: the exit status is kept") {
    Run run({"/bin/sh", "-c", "exit 7"});
    const ExitStatus status = run.launch_and_finish();
    CHECK(status == ExitStatus{Kind::exited, 7, ""});
    CHECK(status.describe() == "exited with 7");
    CHECK(must(read_file(run.spec.run_dir + "/exit", 100)) == "exited 7\n");
}

TEST_CASE("process: the signal that ended the service is kept") {
    Run run({"/bin/sh", "-c", "kill -KILL $$"});
    const ExitStatus status = run.launch_and_finish();
    CHECK(status == ExitStatus{Kind::signaled, SIGKILL, ""});
    CHECK(status.describe() == "killed by SIGKILL");
}

TEST_CASE("process: a command that is not there says so") {
    Run run({"/usr/sbin/no-such-service"});
    const ExitStatus status = run.launch_and_finish();
    CHECK(status == ExitStatus{Kind::failed, 0, "cannot run '/usr/sbin/no-such-service': No such file or directory"});
    CHECK(must(read_file(run.spec.run_dir + "/exit", 200)) ==
          "failed cannot run '/usr/sbin/no-such-service': No such file or directory\n");
}

TEST_CASE("process: a command that may not be run says so") {
    Run run({"/etc/passwd"});
    CHECK(run.launch_and_finish().text == "cannot run '/etc/passwd': Permission denied");
}

TEST_CASE("process: a start leaves nothing of the end before") {
    Run run({"/bin/sleep", "1000"});
    REQUIRE(write_file_atomically(run.spec.run_dir + "/exit", "exited 3\n", 0600));
    Process process = run.launch();
    CHECK(read_file(run.spec.run_dir + "/exit", 100).error().errno_code == ENOENT);
    CHECK(process.kill());
    CHECK(run.finish(process).kind == Kind::unknown);
}

TEST_CASE("process: a missing shim is an error of the launch") {
    Run run({"/bin/true"});
    run.spec.shim_path = "/no/such/shim";
    const auto process = Process::launch(run.prepared(), run.ns);
    REQUIRE_FALSE(process);
    CHECK(process.error() ==
          Error{ENOENT, "cannot start 'web': cannot run '/no/such/shim': No such file or directory"});
}

TEST_CASE("process: a missing run directory is an error of the launch") {
    Run run({"/bin/true"});
    run.spec.run_dir = "/run/supervise/none";
    const auto process = Process::launch(run.prepared(), run.ns);
    REQUIRE_FALSE(process);
    CHECK(process.error().what ==
          "cannot start 'web': cannot open '/run/supervise/none/sandbox': No such file or directory");
    CHECK(process.error().errno_code == ENOENT);
}

TEST_CASE("process: a second shim for the same run is refused") {
    Run run({"/bin/sleep", "1000"});
    Process first = run.launch();
    const auto second = Process::launch(run.spec, run.ns);
    REQUIRE_FALSE(second);
    CHECK(second.error().errno_code == EAGAIN);
    CHECK(second.error().what ==
          cat("cannot start 'web': process ", first.pid(), " holds the lock in '", run.spec.run_dir, "'"));
    CHECK(must(Process::adopt(run.spec.run_dir))->pid() == first.pid());
}

TEST_CASE("process: what was never started cannot be adopted") {
    const Run run({"/bin/true"});
    CHECK_FALSE(must(Process::adopt(run.spec.run_dir)));
}

TEST_CASE("process: what ended cannot be adopted") {
    Run run({"/bin/true"});
    run.launch_and_finish();
    CHECK_FALSE(must(Process::adopt(run.spec.run_dir)));
}

TEST_CASE("process: a shim outside of a pid namespace of its own refuses: its end would kill all beside it") {
    const Run run({"/bin/true"});
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    const UniqueFd writer(ends[1]);
    CHECK(run_shim(run, writer.get()) == 1);
    char said[256] = {};
    REQUIRE(read(reader.get(), said, sizeof said - 1) > 0);
    CHECK(std::string(said) == "1 cannot run 'outside of a pid namespace of its own': Operation not permitted");
    CHECK(read_file(run.spec.run_dir + "/lock", 10).error().errno_code == ENOENT);
}

TEST_CASE("process: a service outlives its launcher and is adopted") {
    Run run({"/bin/sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"});
    const pid_t launcher = fork();
    if (launcher == 0) {
        const auto process = Process::launch(run.prepared(), run.ns);
        ::kill(process ? getpid() : 0, SIGKILL);
        _exit(1);
    }
    int status = 0;
    REQUIRE(waitpid(launcher, &status, 0) == launcher);
    REQUIRE(WIFSIGNALED(status));
    auto adopted = must(Process::adopt(run.spec.run_dir));
    REQUIRE(adopted);
    REQUIRE(eventually([&] { return run.said() == "ready\n"; }));
    CHECK(adopted->signal(SIGTERM));
    CHECK(run.finish(*adopted) == ExitStatus{Kind::exited, 5, ""});
    CHECK(adopted->signal(SIGTERM));  // ESRCH
    CHECK_FALSE(must(Process::adopt(run.spec.run_dir)));
}

TEST_CASE("process: a shim whose parent died before the lock gives up") {
    const Run run({"/bin/true"});
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    UniqueFd reader(ends[0]);
    const UniqueFd writer(ends[1]);
    reader.reset();
    CHECK(run_shim(run, writer.get()) == 1);
    CHECK(read_file(run.spec.run_dir + "/lock", 10).error().errno_code == ENOENT);
}

TEST_CASE("process: a launcher killed at any instant leaves no shim without its lock") {
    const auto own = status_of(getpid(), "Name");
    const std::size_t before = processes_named(own).size();
    int adopted = 0;
    for (int i = 0; i < 200; ++i) {
        Run run({"/bin/sleep", "1000"});
        const pid_t launcher = fork();
        if (launcher == 0) {
            const auto process = Process::launch(run.prepared(), run.ns);
            pause();
        }
        const timespec instant{0, i * 10'000L};
        nanosleep(&instant, nullptr);
        ::kill(launcher, SIGKILL);
        REQUIRE(waitpid(launcher, nullptr, 0) == launcher);
        const bool locked = bool(must(Process::adopt(run.spec.run_dir)));
        // What was on its way to the lock dies with its parent; what holds it stays.
        REQUIRE(eventually([&] { return processes_named(own).size() == before; }));
        REQUIRE(eventually([&] {
            const auto shims = processes_with(run.spec.run_dir + "\0"s);
            return shims.size() == (must(Process::adopt(run.spec.run_dir)) ? 1U : 0U);
        }));
        adopted += must(Process::adopt(run.spec.run_dir)) ? 1 : 0;
        CHECK((locked || !must(Process::adopt(run.spec.run_dir))));  // nothing comes to life behind a look
    }
    MESSAGE(adopted, " of 200 had the lock");
}

TEST_CASE("process: a signal sent right after the launch is not lost") {
    for (int i = 0; i < 20; ++i) {
        Run run({"/bin/sleep", "1000"});
        Process process = run.launch();
        CHECK(process.signal(SIGTERM));
        CHECK(run.finish(process) == ExitStatus{Kind::signaled, SIGTERM, ""});
    }
}

TEST_CASE("process: all stop signals reach the service") {
    for (const char* name : {"TERM", "QUIT", "INT", "HUP", "USR1", "USR2"}) {
        CAPTURE(name);
        Run run({"/bin/sh", "-c", cat("trap 'exit 9' ", name, "; echo ready; while :; do sleep 0.01; done")});
        Process process = run.launch();
        REQUIRE(eventually([&] { return run.said() == "ready\n"; }));
        CHECK(process.signal(signal_number(name)));
        CHECK(run.finish(process) == ExitStatus{Kind::exited, 9, ""});
    }
}

TEST_CASE("process: a tree of daemons dies with kill()") {
    Run run({"/bin/sh", "-c", "(setsid sh -c 'sleep 424242 & sleep 424242' &) ; sleep 424242"});
    Process process = run.launch();
    REQUIRE(eventually([] { return processes_with("424242").size() >= 4; }));
    CHECK(process.kill());
    CHECK(run.finish(process).kind == Kind::unknown);
    CHECK(processes_with("424242").empty());
}

TEST_CASE("process: what the main process leaves behind ends with it") {
    Run run({"/bin/sh", "-c", "setsid sleep 434343 & exit 4"});
    CHECK(run.launch_and_finish() == ExitStatus{Kind::exited, 4, ""});
    CHECK(processes_with("434343").empty());
}

TEST_CASE("process: orphans are reaped while the service runs") {
    Run run({"/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do (sleep 0.01 &) ; done; exec sleep 1000"});
    Process process = run.launch();
    CHECK(eventually([&] {
        const auto children = children_of(process.pid());
        return children.size() == 1 && status_of(children[0], "Name") == "sleep";
    }));
}

TEST_CASE("process: the launcher keeps no descriptor but the pidfd") {
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 10; ++i) {
        Run run({"/bin/true"});
        run.spec.shim_path = i % 2 == 0 ? run.spec.shim_path : "/no/such/shim";
        auto process = Process::launch(run.prepared(), run.ns);
        CHECK(bool(process) == (i % 2 == 0));
        if (process) {
            CHECK(open_descriptors() == before + 2);  // the pidfd and the namespace
            run.finish(*process);
        }
        (void)Process::adopt(run.spec.run_dir);
    }
    CHECK(open_descriptors() == before);
    CHECK(children_of(getpid()).empty());
}

TEST_CASE("process: full storage for the run directory does not lose the exit status") {
    const Run run({"/bin/true"});
    SUBCASE("of a child") {
        Run full({"/bin/sh", "-c", "exit 6"});
        // A directory in the place of the file: it can be written as little.
        REQUIRE(make_directory(full.spec.run_dir + "/exit.new", 0700));
        CHECK(full.launch_and_finish() == ExitStatus{Kind::exited, 6, ""});
    }
}

}  // namespace
}  // namespace viscum
