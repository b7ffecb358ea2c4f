// SPDX-License-Identifier: GPL-2.0-only
// Each attempt in a child, with a limit in time.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/e2e/attacker/attack.h"

namespace viscum {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kAtOnce = 24;

std::string error_name(int error) {
    const char* name = strerrorname_np(error);
    return name != nullptr ? name : std::to_string(error);
}

struct Running {
    const Item* item = nullptr;
    pid_t pid = 0;
    UniqueFd reader;
    Clock::time_point deadline;
    std::string text{};
};

std::string line_of(const Item& item, const Attempt& attempt) {
    std::string text = attempt.text;
    for (char& c : text) {
        c = c < ' ' ? ' ' : c;
    }
    return cat(item.name, attempt.done ? ": DONE " : ": denied ", text);
}

Running start(const Item& item) {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) {
        return {&item, 0, UniqueFd(), Clock::now(), {}};
    }
    UniqueFd reader(ends[0]);
    const UniqueFd writer(ends[1]);
    const pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        const std::string line = line_of(item, item.attempt());
        _exit(write(writer.get(), line.data(), line.size()) < 0 ? 1 : 0);
    }
    return {&item, pid, std::move(reader), Clock::now() + item.limit, {}};
}

/// Waits for its line; returns it.
std::string finish(Running& running) {
    const Item& item = *running.item;
    if (running.pid <= 0) {
        return line_of(item, denied("not tried: no process"));
    }
    std::array<char, 4096> buffer{};
    for (bool open = true; open;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(running.deadline - Clock::now()).count();
        pollfd watched{running.reader.get(), POLLIN, 0};
        ssize_t size = 0;
        if (left > 0 && poll(&watched, 1, static_cast<int>(left)) > 0) {
            size = read(running.reader.get(), buffer.data(), buffer.size());
            running.text.append(buffer.data(), static_cast<std::size_t>(size > 0 ? size : 0));
        }
        open = size > 0;
    }
    const bool late = Clock::now() >= running.deadline;
    kill(-running.pid, SIGKILL);
    kill(running.pid, SIGKILL);
    int status = 0;
    while (waitpid(running.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!running.text.empty()) {
        return running.text;
    }
    if (!late && WIFSIGNALED(status)) {
        return line_of(item, denied(cat("SIG", sigabbrev_np(WTERMSIG(status)))));
    }
    return line_of(item, denied(late ? "not tried to its end" : "not tried: no line"));
}

}  // namespace

Attempt done(std::string what) {
    return {true, std::move(what)};
}
Attempt denied(int error) {
    return {false, error_name(error)};
}
Attempt denied(std::string reason) {
    return {false, std::move(reason)};
}
Attempt tried(long result, std::string_view what) {
    return result < 0 ? denied(errno) : done(std::string(what));
}
Attempt tried_or(long result, int error, std::string_view what) {
    return result < 0 && errno == error ? done(cat(what, " (", error_name(error), ")")) : tried(result, what);
}

void run_items(const Items& items, const std::function<void(const std::string& line)>& tell) {
    std::vector<Running> running;
    for (std::size_t next = 0; next < items.size() || !running.empty();) {
        if (next < items.size() && running.size() < kAtOnce) {
            running.push_back(start(items[next++]));
        } else {
            tell(finish(running.front()));
            running.erase(running.begin());
        }
    }
}

std::string contents_of(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::string text(65'536, '\0');
    const ssize_t size = fd ? read(fd.get(), text.data(), text.size()) : -1;
    text.resize(static_cast<std::size_t>(size > 0 ? size : 0));
    return text;
}

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
        names.push_back(it->path().filename().string());
    }
    return names;
}

}  // namespace viscum
