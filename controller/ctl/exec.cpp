// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/exec.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "base/unique_fd.h"
#include "controller/ctl/terminal.h"
#include "controller/supervise/process.h"

namespace viscum {
namespace {

constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;
// All that others send to end us: the terminal must not stay raw.
constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGPWR};
constexpr int kAttach[] = {SIGWINCH, SIGCONT};

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

UniqueFd take_signals() {
    sigset_t taken;
    sigemptyset(&taken);
    for (const int number : kForwarded) {
        sigaddset(&taken, number);
    }
    for (const int number : kAttach) {
        sigaddset(&taken, number);
    }
    sigprocmask(SIG_BLOCK, &taken, nullptr);
    return UniqueFd(signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
}

void handle_signals(int signals, Process& process, Terminal& terminal) {
    signalfd_siginfo news{};
    while (read(signals, &news, sizeof news) == static_cast<ssize_t>(sizeof news)) {
        const int number = static_cast<int>(news.ssi_signo);
        if (std::find(std::begin(kAttach), std::end(kAttach), number) != std::end(kAttach)) {
            terminal.attach();
        } else {
            (void)process.signal(number);
        }
    }
}

// Until it ends. It has a session of its own, so that a Ctrl-C reaches it through us or its own terminal only.
ExitStatus wait_for(Process& process, int signals, Terminal& terminal) {
    while (true) {
        Terminal::Polled streams = terminal.wanted();
        std::array<pollfd, 4> ready{{{process.pidfd(), POLLIN, 0}, {signals, POLLIN, 0}, streams[0], streams[1]}};
        if (poll(ready.data(), ready.size(), -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return {};
        }
        if (ready[0].revents != 0) {
            return process.reap();
        }
        handle_signals(signals, process, terminal);
        terminal.copy({ready[2], ready[3]});
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
    auto terminal = Terminal::open({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
    if (!terminal) {
        return fail(console, Code::failed, terminal.error().what, "");
    }
    const UniqueFd signals = take_signals();
    const auto [in, out, err] = (*terminal)->streams();
    auto process = enter({shim->second, run_dir->second, command, terminal_environment(), in, out, err});
    if (!process) {
        return fail_to_run(session, service, process.error());
    }
    (*terminal)->attach();
    const ExitStatus end = wait_for(*process, signals.get(), **terminal);
    (*terminal)->finish();
    return end.kind == ExitStatus::Kind::exited ? end.value
                                                : fail(console, Code::failed, "the command's end is unknown", "");
}

}  // namespace viscum
