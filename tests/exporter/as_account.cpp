// SPDX-License-Identifier: GPL-2.0-only
#include "tests/exporter/as_account.h"

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/file.h"
#include "base/text.h"
#include "controller/ipc/observe.h"

namespace viscum {
namespace {

constexpr std::size_t kMost = 1024 * 1024;

void add_line(const std::string& file, const std::string& name, const std::string& rest) {
    const auto text = read_file(file, kMost);
    REQUIRE(text);
    if (text->find(cat("\n", name, ":")) == std::string::npos) {
        REQUIRE(write_file_atomically(file, cat(*text, name, rest, "\n"), 0644));
    }
}

}  // namespace

void make_observer_account(uid_t number) {
    add_line("/etc/group", kObserverAccount, cat(":x:", number, ":"));
    add_line("/etc/passwd", kObserverAccount, cat(":x:", number, ":", number, "::/:/usr/sbin/nologin"));
}

void remove_observer_account() {
    for (const std::string file : {"/etc/group", "/etc/passwd"}) {
        auto text = read_file(file, kMost);
        REQUIRE(text);
        auto lines = split(*text, '\n');
        std::erase_if(lines, [](const auto& line) { return line.starts_with(cat(kObserverAccount, ":")); });
        REQUIRE(write_file_atomically(file, join(lines, "\n"), 0644));
    }
}

int as_account(uid_t user, gid_t group, const std::function<int()>& body) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const bool other =
            setgroups(0, nullptr) == 0 && setresgid(group, group, group) == 0 && setresuid(user, user, user) == 0;
        _exit(other ? body() : 125);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace viscum
