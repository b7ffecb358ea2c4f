// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/exec.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/text.h"
#include "controller/supervise/process.h"
#include "netns/net_ns.h"

namespace viscum {
namespace {

constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;
constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

int fail_to_run(const Session& session, const Error& error) {
    (void)fail(session.console, Code::failed, error.what, "");
    return error.errno_code == ENOENT ? kNotFound : kCannotRun;
}

// What the command should know of the operator's terminal, and nothing else of his environment.
std::map<std::string, std::string> terminal_environment() {
    std::map<std::string, std::string> env;
    for (const char* name : {"TERM", "LANG", "LC_ALL", "PATH"}) {
        if (const char* value = std::getenv(name)) {
            env[name] = value;
        }
    }
    return env;
}

// Until it ends. It has a session of its own, so that a Ctrl-C of ours reaches it through us only.
ExitStatus wait_for(Process& process, int signals) {
    while (true) {
        pollfd ready[] = {{process.pidfd(), POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR) {
            return {};
        }
        if (ready[0].revents != 0) {
            return process.reap();
        }
        signalfd_siginfo news{};
        while (read(signals, &news, sizeof news) == static_cast<ssize_t>(sizeof news)) {
            (void)process.signal(static_cast<int>(news.ssi_signo));
        }
    }
}

}  // namespace

std::optional<std::string> find_program(const std::string& name, const std::string& path) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    for (const auto& dir : split(path, ':')) {
        auto candidate = cat(dir.empty() ? "." : dir, "/", name);
        if (!name.empty() && access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    return std::nullopt;
}

int exec(const Session& session, const std::string& service, const std::vector<std::string>& command) {
    const Console& console = session.console;
    Request request;
    request.verb = "exec-info";
    request.service = service;
    const Response answer = ask(session, request);
    if (answer.code != Code::done) {
        return fail(console, answer);
    }
    const auto name = answer.facts.find("namespace");
    const auto user = answer.facts.find("user");
    if (name == answer.facts.end() || user == answer.facts.end()) {
        return fail(console, Code::failed, "viscumd's answer cannot be read",
                    "viscumctl and viscumd must be of the same version");
    }
    const auto ns = NetNs::open(name->second);
    if (!ns) {
        return fail(console, Code::failed, ns.error().what, cat("see: viscumctl status ", service));
    }
    const char* path = std::getenv("PATH");
    const auto program = find_program(command.front(), path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path);
    if (!program) {
        return fail_to_run(session, {ENOENT, cat("no command '", command.front(), "'")});
    }
    sigset_t forwarded;
    sigemptyset(&forwarded);
    for (const int number : kForwarded) {
        sigaddset(&forwarded, number);
    }
    sigprocmask(SIG_BLOCK, &forwarded, nullptr);
    const UniqueFd signals(signalfd(-1, &forwarded, SFD_CLOEXEC | SFD_NONBLOCK));
    ChildSpec child{command, user->second, terminal_environment(), STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    child.command.front() = *program;
    auto process = spawn_in(child, *ns);
    if (!process) {
        return fail_to_run(session, process.error());
    }
    const ExitStatus end = wait_for(*process, signals.get());
    switch (end.kind) {
        case ExitStatus::Kind::exited: return end.value;
        case ExitStatus::Kind::signaled: return 128 + end.value;
        default: return fail(console, Code::failed, "the command's end is unknown", "");
    }
}

}  // namespace viscum
