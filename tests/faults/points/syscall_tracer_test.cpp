// SPDX-License-Identifier: GPL-2.0-only
// The tracer that the tests beside this one rest on, with programs that everybody has.
#include "tests/support/syscall_tracer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/scene/scene.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr const char* kMade = "/tmp/viscum-made";
constexpr const char* kLog = "/tmp/viscum-tracer.log";
using Kind = SyscallStrike::Kind;

/// The end of `argv` with this strike.
int end_of(const Argv& argv, const SyscallTracer::Options& options) {
    std::filesystem::remove(kMade);
    std::filesystem::remove(kLog);
    const auto tracer = must(SyscallTracer::start({.argv = argv, .log_file = kLog}, options));
    return tracer->wait(kLimit);
}

bool made() {
    return std::filesystem::exists(kMade);
}

bool has(const std::vector<Syscall>& calls, const std::string& name, const std::string& path) {
    return std::ranges::any_of(calls, [&](const Syscall& call) { return call.name == name && call.path == path; });
}

/// Starts two programs, one after the other; the second one makes kMade.
const Argv kTwoChildren = {"find", "/tmp", "-maxdepth", "0", "-exec", "true", ";", "-exec", "mkdir", kMade, ";"};

}  // namespace

TEST_CASE("tracer: a program's calls are told in order, by name, path and result") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    std::filesystem::remove(kMade);
    const auto tracer = must(SyscallTracer::start({.argv = {"mkdir", kMade}}, {}));
    CHECK(tracer->wait(kLimit) == 0);
    tracer->stop();
    const auto calls = tracer->calls();
    REQUIRE(calls.size() > 5);
    for (std::size_t i = 0; i < calls.size(); ++i) {
        CHECK(calls[i].number == i + 1);
    }
    const auto found = std::ranges::find(calls, "mkdir", &Syscall::name);
    REQUIRE(found != calls.end());
    CHECK(found->text() == cat("mkdir 1 ", kMade));
    CHECK(found->result == 0);
    CHECK(calls.back().name == "exit_group");
    CHECK_FALSE(calls.back().result);
    CHECK_FALSE(tracer->struck());
}

TEST_CASE("tracer: a call is killed before it is carried out, or after, or fails") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    const Argv mkdir = {"mkdir", kMade};
    CHECK(end_of(mkdir, {.strike = {{Kind::kill, "mkdir", 1, 0}}}) == 137);
    CHECK_FALSE(made());
    CHECK(end_of(mkdir, {.strike = {{Kind::kill_after, "mkdir", 1, 0}}}) == 137);
    CHECK(made());
    CHECK(end_of(mkdir, {.strike = {{Kind::fail, "mkdir", 1, ENOSPC}}}) == 1);
    CHECK_FALSE(made());
    CHECK(must(read_file(kLog, 4096)).find("No space left on device") != std::string::npos);
    CHECK(end_of(mkdir, {.strike = {{Kind::kill, "mkdir", 2, 0}}}) == 0);
    CHECK(made());
    CHECK(end_of(mkdir, {.strike = {{Kind::kill, "", 3, 0}}}) == 137);
    CHECK_FALSE(made());
    std::filesystem::remove(kMade);
}

TEST_CASE("tracer: a server that is seized and let go serves on, and only what it did meanwhile is counted") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    const NetNs here = must(NetNs::current());
    auto server = must(Program::start({.argv = test_server({"me", "tcp", "127.0.0.1", "8000"})}));
    const HttpRequest request{.to = Endpoint::of("127.0.0.1", 8000)};
    REQUIRE(eventually(kLimit, [&] { return http_get(here, request).who() == "me"; }));
    for (int time = 0; time < 20; ++time) {
        const auto tracer = must(SyscallTracer::seize(server.pid(), {}));
        CHECK(tracer->pid() == server.pid());
        CHECK(http_get(here, request).who() == "me");
        tracer->stop();
        const auto calls = tracer->calls();
        CHECK(std::ranges::count(calls, "accept4", &Syscall::name) == 1);
        CHECK(http_get(here, request).who() == "me");
        CHECK(tracer->calls().size() == calls.size());
    }
    CHECK(server.running());
    const auto tracer = must(SyscallTracer::seize(server.pid(), {.strike = {{Kind::kill, "accept4", 1, 0}}}));
    CHECK(http_get(here, request).outcome != Outcome::answered);
    CHECK(tracer->ended_within(kLimit));
    CHECK(tracer->struck()->text() == "accept4 1");
    CHECK(server.stop(SIGTERM) == 137);
}

TEST_CASE("tracer: a child is followed by its program's name, from its execve on or from its birth on") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    for (const bool from_birth : {false, true}) {
        CAPTURE(from_birth);
        std::filesystem::remove(kMade);
        const auto tracer =
            must(SyscallTracer::start({.argv = kTwoChildren}, {.child = "mkdir", .from_birth = from_birth}));
        CHECK(tracer->wait(kLimit) == 0);
        tracer->stop();
        const auto calls = tracer->calls();
        CHECK(has(calls, "mkdir", kMade));
        CHECK(std::ranges::any_of(calls, [](const Syscall& call) { return call.name == "execve"; }) == from_birth);
        CHECK(calls.back().name == "exit_group");
    }
    // The parent lives and sees the end of its child.
    CHECK(end_of(kTwoChildren, {.strike = {{Kind::kill, "mkdir", 1, 0}}, .child = "mkdir"}) == 0);
    CHECK_FALSE(made());
    CHECK(end_of(kTwoChildren, {.strike = {{Kind::fail, "mkdir", 1, EIO}}, .child = "mkdir"}) == 0);
    CHECK_FALSE(made());
    CHECK(must(read_file(kLog, 4096)).find("Input/output error") != std::string::npos);
    CHECK(end_of(kTwoChildren, {.strike = {{Kind::kill, "mkdir", 1, 0}}, .child = "nobody"}) == 0);
    CHECK(made());
    std::filesystem::remove(kMade);
}

}  // namespace viscum
