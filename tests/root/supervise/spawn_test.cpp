// SPDX-License-Identifier: GPL-2.0-only
// Commands that run once in a service's namespace.
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include <csignal>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/supervise/fixture.h"

namespace viscum {
namespace {

struct Output {
    ExitStatus status;
    std::string text;
};

/// Runs to the end; what it wrote to 1 and 2 together.
Output run_in(ChildSpec spec, const NetNs& ns) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    spec.out = spec.err = writer.get();
    Process process = must(spawn_in(spec, ns));
    writer.reset();
    Output output;
    char bytes[4096];
    for (ssize_t got = 0; (got = read(reader.get(), bytes, sizeof bytes)) > 0;) {
        output.text.append(bytes, static_cast<std::size_t>(got));
    }
    REQUIRE(ended(process.pidfd()));
    output.status = process.reap();
    return output;
}

TEST_CASE("spawn: the exit status comes back") {
    const Output output = run_in({{"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, "", {}}, must(NetNs::current()));
    CHECK(output.text == "out\nerr\n");
    CHECK(output.status == ExitStatus{ExitStatus::Kind::exited, 3, ""});
}

TEST_CASE("spawn: a signal comes back") {
    const Output output = run_in({{"/bin/sh", "-c", "kill -TERM $$"}, "", {}}, must(NetNs::current()));
    CHECK(output.status.describe() == "killed by SIGTERM");
}

TEST_CASE("spawn: a command that cannot be run is an error at once") {
    const auto process = spawn_in({{"/no/such/command"}, "", {}}, must(NetNs::current()));
    REQUIRE_FALSE(process);
    CHECK(process.error() == Error{ENOENT, "cannot run '/no/such/command': No such file or directory"});
    CHECK(children_of(getpid()).empty());
}

TEST_CASE("spawn: the command has its user, its environment and the standard streams") {
    ChildSpec spec{{"/bin/sh", "-c", "id -u; id -G; echo $USER $HOME $X; ls -l /proc/self/fd | wc -l; exec cat"},
                   "nobody",
                   {{"X", "y"}}};
    const Output output = run_in(spec, must(NetNs::current()));
    CHECK(output.text == "65534\n65534\nnobody /nonexistent y\n5\n");  // "total", 0-2 and ls's own
}

TEST_CASE("spawn: it reads what it is given") {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    REQUIRE(write(writer.get(), "word", 4) == 4);
    writer.reset();
    CHECK(run_in({{"/bin/cat"}, "", {}, reader.get()}, must(NetNs::current())).text == "word");
}

TEST_CASE("spawn: it runs in the namespace, beside the service's processes") {
    const NetNs ns = must(NetNs::create("spawned"));
    const Output output = run_in({{"/usr/bin/readlink", "/proc/self/ns/net"}, "", {}}, ns);
    CHECK(output.text == cat("net:[", ns.inode(), "]\n"));
    CHECK(remove_net_ns_name("spawned"));
}

TEST_CASE("spawn: a child that runs is not reaped") {
    Process process = must(spawn_in({{"/bin/sleep", "1000"}, "", {}}, must(NetNs::current())));
    CHECK(process.reap().kind == ExitStatus::Kind::unknown);
    CHECK(process.kill());
    REQUIRE(ended(process.pidfd()));
    CHECK(process.reap() == ExitStatus{ExitStatus::Kind::signaled, SIGKILL, ""});
}

TEST_CASE("spawn: it dies with the daemon, as root and as a user") {
    std::string user;
    SUBCASE("root") {}
    SUBCASE("a user") {
        user = "nobody";
    }
    const NetNs ns = must(NetNs::current());
    const pid_t daemon = fork();
    if (daemon == 0) {
        const auto process = spawn_in({{"/bin/sleep", "464646"}, user, {}}, ns);
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
