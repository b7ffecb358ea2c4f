// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/watchdog.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <string>

#include "base/unique_fd.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

struct End {
    int status = 0;  // of waitpid(2)
    std::string said;
};

/// A child with a watchdog that was fed for `limit`, and then does `body`.
End end_of(std::chrono::milliseconds limit, const std::function<void(const Watchdog&)>& body) {
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const pid_t child = fork();
    if (child == 0) {
        dup2(writer.get(), STDERR_FILENO);
        const auto watchdog = Watchdog::open();
        if (!watchdog || !watchdog->feed(limit)) {
            _exit(3);
        }
        body(*watchdog);
        _exit(0);
    }
    writer.reset();
    End end;
    std::array<char, 512> text{};
    for (ssize_t size = 0; (size = read(reader.get(), text.data(), text.size())) > 0;) {
        end.said.append(text.data(), static_cast<std::size_t>(size));
    }
    REQUIRE(waitpid(child, &end.status, 0) == child);
    return end;
}

[[noreturn]] void hang() {
    for (volatile bool forever = true; forever;) {
    }
    _exit(4);
}

}  // namespace

TEST_CASE("watchdog: a process that does nothing more says so and ends") {
    const End end = end_of(50ms, [](const Watchdog&) { hang(); });
    CHECK(WIFEXITED(end.status));
    CHECK(WEXITSTATUS(end.status) == 1);
    CHECK(end.said.find("viscumd hangs") != std::string::npos);
}

TEST_CASE("watchdog: a process that is stopped is killed") {
    const End end = end_of(50ms, [](const Watchdog&) { raise(SIGSTOP); });
    CHECK(WIFSIGNALED(end.status));
    CHECK(WTERMSIG(end.status) == SIGKILL);
}

TEST_CASE("watchdog: a process that feeds it lives on") {
    const End end = end_of(2s, [](const Watchdog& watchdog) {
        for (int turn = 0; turn < 30; ++turn) {
            poll(nullptr, 0, 100);
            if (!watchdog.feed(2s)) {
                _exit(5);
            }
        }
    });
    CHECK(WIFEXITED(end.status));
    CHECK(WEXITSTATUS(end.status) == 0);
    CHECK(end.said.empty());
}

}  // namespace viscum
