// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/exec.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/unique_fd.h"
#include "controller/supervise/process.h"

namespace viscum {
namespace {

constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;
constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

int fail_to_run(const Session& session, const std::string& service, const Error& error) {
    if (error.errno_code == ESRCH || error.errno_code == EAGAIN) {
        return fail(session.console, Code::failed, error.what, "see: viscumctl status " + service);
    }
    (void)fail(session.console, Code::failed, error.what, "");
    return error.errno_code == ENOENT ? kNotFound : kCannotRun;
}

// What the command should know of the operator's terminal, and nothing else of his environment.
std::map<std::string, std::string> terminal_environment() {
    std::map<std::string, std::string> env;
    for (const char* name : {"TERM", "LANG", "LC_ALL"}) {
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

int exec(const Session& session, const std::string& service, const std::vector<std::string>& command) {
    const Console& console = session.console;
    Request request;
    request.verb = "exec-info";
    request.service = service;
    const Response answer = ask(session, request);
    if (answer.code != Code::done) {
        return fail(console, answer);
    }
    const auto run_dir = answer.facts.find("run_dir");
    const auto shim = answer.facts.find("shim");
    if (run_dir == answer.facts.end() || shim == answer.facts.end()) {
        return fail(console, Code::failed, "viscumd's answer cannot be read",
                    "viscumctl and viscumd must be of the same version");
    }
    sigset_t forwarded;
    sigemptyset(&forwarded);
    for (const int number : kForwarded) {
        sigaddset(&forwarded, number);
    }
    sigprocmask(SIG_BLOCK, &forwarded, nullptr);
    const UniqueFd signals(signalfd(-1, &forwarded, SFD_CLOEXEC | SFD_NONBLOCK));
    auto process = enter(
        {shim->second, run_dir->second, command, terminal_environment(), STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
    if (!process) {
        return fail_to_run(session, service, process.error());
    }
    const ExitStatus end = wait_for(*process, signals.get());
    return end.kind == ExitStatus::Kind::exited ? end.value
                                                : fail(console, Code::failed, "the command's end is unknown", "");
}

}  // namespace viscum
