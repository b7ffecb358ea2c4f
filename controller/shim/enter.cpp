// SPDX-License-Identifier: GPL-2.0-only
#include "controller/shim/enter.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <errno.h>
#include <signal.h>

#include "controller/shim/confine.h"

extern char** environ;

namespace viscum {
namespace {

constexpr int kReport = 3;
constexpr int kShim = 4;
constexpr int kCannotRun = 127;

int tell(const Failure& failure) {
    Text text;
    text.put(static_cast<uint64_t>(failure.code)).put(" ");
    [[maybe_unused]] auto ignored = write(kReport, text.bytes, text.length);
    ignored = write(kReport, failure.text.bytes, failure.text.length);
    return kCannotRun;
}

/// Where descriptor 0 is a terminal, the command leads a session with it: job control works, and a Ctrl-C reaches what
/// is in the foreground. A terminal that is another session's already is refused. Without one the command stays in the
/// group of the process that waits for it, and is killed with it.
bool take_terminal(Failure& failure) {
    if (isatty(STDIN_FILENO) != 1) {
        return true;
    }
    if (setsid() < 0 || ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0) {
        return failure.set("cannot take", "the terminal", errno);
    }
    return true;
}

/// Until the command ends.
int relay(pid_t command) {
    sigset_t all;
    sigfillset(&all);
    while (true) {
        const int number = sigwaitinfo(&all, nullptr);
        int status = 0;
        if (number > 0 && number != SIGCHLD) {
            kill(command, number);  // not yet reaped: the pid is still its own
        } else if (waitpid(command, &status, WNOHANG) == command) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}

}  // namespace

int enter(char** arguments) {
    static Confinement sandbox;
    Failure failure;
    const int run_dir = open(arguments[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (run_dir < 0) {
        failure.set("cannot open", arguments[0], errno);
        return tell(failure);
    }
    if (!sandbox.open(run_dir, failure)) {
        return tell(failure);
    }
    fcntl(kReport, F_SETFD, FD_CLOEXEC);
    constexpr int kNamespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
    if (setns(kShim, kNamespaces) != 0) {
        failure.set("cannot enter", "the service's namespaces", errno);
        return tell(failure);
    }
    int lives[2];
    const pid_t command = pipe2(lives, O_CLOEXEC) == 0 ? plain_fork() : -1;
    if (command < 0) {
        failure.set("cannot start", arguments[1], errno);
        return tell(failure);
    }
    if (command == 0) {
        close(lives[1]);
        // In the place of the shim's, which is not needed any more, and must not reach the command.
        const bool replaced = dup3(lives[0], kShim, O_CLOEXEC) >= 0 || failure.set("cannot start", arguments[1], errno);
        const bool ready = replaced && take_terminal(failure);
        tell(ready ? confine_and_run(sandbox, arguments + 1, environ, kReport, kShim) : failure);
        _exit(kCannotRun);
    }
    if (!keep_only_kill(failure)) {
        return tell(failure);  // the command ends with us
    }
    for (int fd = 0; fd <= kShim; ++fd) {
        close(fd);
    }
    close(lives[0]);
    sandbox.close_files();
    close(run_dir);
    return relay(command);
}

}  // namespace viscum
