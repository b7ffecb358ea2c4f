// SPDX-License-Identifier: GPL-2.0-only
// The parts of supervise/process.h and account.h that need no process.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "controller/supervise/account.h"
#include "controller/supervise/process.h"

namespace viscum {
namespace {

using Kind = ExitStatus::Kind;

TEST_CASE("process: an end is described") {
    CHECK(ExitStatus{Kind::exited, 1, ""}.describe() == "exited with 1");
    CHECK(ExitStatus{Kind::signaled, SIGKILL, ""}.describe() == "killed by SIGKILL");
    CHECK(ExitStatus{Kind::signaled, SIGSEGV, ""}.describe() == "killed by SIGSEGV");
    CHECK(ExitStatus{Kind::signaled, 42, ""}.describe() == "killed by signal 42");
    CHECK(ExitStatus{Kind::failed, 0, "cannot run '/x': Permission denied"}.describe() ==
          "cannot run '/x': Permission denied");
    CHECK(ExitStatus{}.describe() == "ended together with its shim");
}

TEST_CASE("process: an end that cannot be understood is still an end") {
    char name[] = "/tmp/viscum-exit-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    const std::string directory(name);
    for (const char* text :
         {"", "failed", "failed\n", "failed \n", "exited", "exited 256\n", "signaled -1\n", "no\n"}) {
        CAPTURE(text);
        REQUIRE(write_file_atomically(directory + "/exit", text, 0600));
        const auto end = last_exit(directory);
        REQUIRE(end);
        CHECK(*end == ExitStatus{});
        CHECK_FALSE(end->describe().empty());
    }
    CHECK(remove_directory(directory));
}

TEST_CASE("process: only an exit with 0 is a success") {
    CHECK(ExitStatus{Kind::exited, 0, ""}.success());
    CHECK_FALSE(ExitStatus{Kind::exited, 1, ""}.success());
    CHECK_FALSE(ExitStatus{Kind::signaled, 0, ""}.success());
    CHECK_FALSE(ExitStatus{}.success());
}

TEST_CASE("process: the stop signals of a service file have numbers, and nothing else") {
    CHECK(signal_number("TERM") == SIGTERM);
    CHECK(signal_number("QUIT") == SIGQUIT);
    CHECK(signal_number("INT") == SIGINT);
    CHECK(signal_number("HUP") == SIGHUP);
    CHECK(signal_number("USR1") == SIGUSR1);
    CHECK(signal_number("USR2") == SIGUSR2);
    for (const char* other : {"KILL", "SIGTERM", "term", "", "15", "STOP"}) {
        CHECK(signal_number(other) == 0);
    }
}

TEST_CASE("process: an environment is PATH, HOME, USER and what the file says, which wins") {
    Account account;
    account.home = "/srv/x";
    CHECK(join(make_environment(account, {}), "|") ==
          "HOME=/srv/x|PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    account.name = "x";
    CHECK(join(make_environment(account, {{"HOME", "/y"}, {"PATH", "/bin"}, {"A", ""}}), "|") ==
          "A=|HOME=/y|PATH=/bin|USER=x");
}

TEST_CASE("process: no user is root without groups") {
    const auto account = look_up_account("");
    REQUIRE(account);
    CHECK(account->uid == 0);
    CHECK(account->gid == 0);
    CHECK(account->groups.empty());
    CHECK(account->name.empty());
}

TEST_CASE("process: a number is a user even where passwd does not know it") {
    const auto account = look_up_account("4000000001");
    REQUIRE(account);
    CHECK(account->uid == 4000000001);
    CHECK(account->gid == 4000000001);
    CHECK(account->home == "/");
    CHECK_FALSE(look_up_account("4294967295"));  // (uid_t)-1 means "leave as it is"
    CHECK_FALSE(look_up_account("007"));
}

TEST_CASE("process: an unknown user is told by name") {
    const auto account = look_up_account("no-such-user");
    REQUIRE_FALSE(account);
    CHECK(account.error().errno_code == ENOENT);
}

}  // namespace
}  // namespace viscum
