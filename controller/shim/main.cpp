// SPDX-License-Identifier: GPL-2.0-only
// viscum-shim NAME RUN_DIR LOG_FILE LOG_BYTES COMMAND [ARGUMENT...]
// viscum-shim --enter RUN_DIR COMMAND [ARGUMENT...]          (enter.h)
//
// Pid 1 of a service's pid namespace; it outlives viscumd. It makes the service's sandbox by RUN_DIR/sandbox, starts
// COMMAND in it with the variables of RUN_DIR/env, forwards signals to it, reaps what is orphaned, writes what it
// prints to LOG_FILE, and leaves its status in RUN_DIR/exit (supervise/process.h says what the files are). Its end ends
// the tree. NAME only shows in the process list.
//
// Descriptor 3 is a pipe to whoever starts it: "+" once RUN_DIR/lock is held, or "ERRNO TEXT" and the end. Until then
// the shim dies with its parent (PR_SET_PDEATHSIG, set by the parent's child), from then on it does not: a shim without
// the lock is never left behind. All signals are blocked when it is started, so that none is lost.
//
// The shim itself is in no group and under no filter of the service's: its limits are not the shim's. It lives in the
// service's root, without any capability but to signal.
//
// One runs beside every service, so it is small: no C++ runtime, no stdio, no allocation, no wake-up when idle.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "controller/shim/confine.h"
#include "controller/shim/enter.h"
#include "controller/shim/log.h"
#include "controller/shim/root.h"
#include "controller/shim/text.h"

namespace {

using viscum::Confinement;
using viscum::Failure;
using viscum::Log;
using viscum::MappedFile;
using viscum::parse_number;
using viscum::Root;
using viscum::Text;

constexpr int kReady = 3;
constexpr int kForwarded[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};
constexpr size_t kMaxDrain = 1U << 20;  // pipe(7): no pipe of an unprivileged process holds more
constexpr size_t kMaxVariables = 1024;
constexpr int kCannotRun = 127;
// Milliseconds; a service whose program takes longer is never entered, nor healthy by its process alone.
constexpr int kExecLimit = 5000;
constexpr int kFloodPause = 5;  // milliseconds

// What cannot be told to anybody is let go.
void tell(int fd, const Text& text) {
    [[maybe_unused]] const auto ignored = write(fd, text.bytes, text.length);
}

[[noreturn]] void refuse(const char* what, const char* name, int code) {
    Text text;
    tell(kReady, text.put(static_cast<uint64_t>(code)).put(" ").put_failure(what, name, code));
    _exit(1);
}

struct Arguments {
    const char* run_dir;
    char* log_file;
    uint64_t log_bytes;
    char** command;
};

Log service_log;
Confinement sandbox;
MappedFile environment;
Root root;
char* variables[kMaxVariables + 1];

/// The lock, from now to our end: POSIX locks are dropped when *any* descriptor of the file is closed, so there is one.
int take_lock(int run_dir, const char* path) {
    const int lock = openat(run_dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (lock < 0 || fcntl(lock, F_SETLK, &whole) != 0) {
        refuse("cannot lock", path, errno == EACCES ? EAGAIN : errno);
    }
    return lock;
}

/// Waits until the service's program is executed, which closes the pipe, or says why it is not.
bool is_executed(int report) {
    pollfd said{report, POLLIN, 0};
    return poll(&said, 1, kExecLimit) > 0 && (said.revents & POLLIN) == 0;
}

/// Lets others read-lock the second byte, by which they know that the service runs in its sandbox.
bool show_ready(int lock, Failure& failure) {
    struct flock second {};
    second.l_type = F_RDLCK;
    second.l_whence = SEEK_SET;
    second.l_start = 1;
    second.l_len = 1;
    return fcntl(lock, F_SETLK, &second) == 0 || failure.set("cannot change", "lock", errno);
}

bool read_environment(int run_dir, Failure& failure) {
    if (!environment.open(run_dir, "env", failure)) {
        return false;
    }
    if (environment.length > 0 && environment.bytes[environment.length - 1] != '\0') {
        return failure.set("cannot read", "env", EINVAL);
    }
    size_t count = 0;
    for (size_t at = 0; at < environment.length; at += strlen(environment.bytes + at) + 1) {
        if (count == kMaxVariables) {
            return failure.set("cannot read", "env", E2BIG);
        }
        variables[count++] = const_cast<char*>(environment.bytes + at);
    }
    return true;
}

/// The service's main process.
[[noreturn]] void run_service(const Arguments& args, int run_dir, int output, int report) {
    Failure failure;
    const viscum::Step* user = nullptr;
    viscum::Step step;
    if (sandbox.words.find(viscum::Op::user, &step)) {
        user = &step;
    }
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
        dup3(report, kReady, O_CLOEXEC) < 0) {
        failure.set("cannot open", "/dev/null", errno);
    } else if (read_environment(run_dir, failure)) {
        // So that a service that is not root can open its /dev/stdout.
        [[maybe_unused]] const int ignored = user == nullptr
                                                 ? 0
                                                 : fchown(1, static_cast<uid_t>(parse_number(user->argument[0])),
                                                          static_cast<gid_t>(parse_number(user->argument[1])));
        report = kReady;
        failure = viscum::confine_and_run(sandbox, args.command, variables, kReady, -1);
    }
    tell(report, failure.text);
    _exit(kCannotRun);
}

/// RUN_DIR/exit, whole or not at all.
void leave_status(int run_dir, const Text& text, const Text& more = {}) {
    const int fd = openat(run_dir, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write(fd, text.bytes, text.length) == static_cast<ssize_t>(text.length) &&
        write(fd, more.bytes, more.length) == static_cast<ssize_t>(more.length)) {
        renameat(run_dir, "exit.new", run_dir, "exit");
    } else {
        unlinkat(run_dir, "exit.new", 0);
    }
}

/// Reads once; false when there is nothing now, or nothing any more (then `output` is given up).
bool read_output(int& output, size_t* total) {
    // What the log has left out last stays as it is: it may be the service's last words.
    static char buffers[2][16384];
    static bool other;
    other = other != service_log.flooded();
    char* bytes = buffers[other ? 1 : 0];
    const ssize_t got = read(output, bytes, sizeof buffers[0]);
    if (got > 0) {
        service_log.feed(bytes, static_cast<size_t>(got));
        service_log.flush();
        *total += static_cast<size_t>(got);
        return true;
    }
    if (got == 0) {
        close(output);
        output = -1;
    }
    return false;
}

/// Reaps whatever ended; true when `service` did.
bool reap(pid_t service, int* status) {
    bool ended = false;
    int one = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &one, WNOHANG)) > 0;) {
        if (pid == service) {
            *status = one;
            ended = true;
        }
    }
    return ended;
}

/// Reads what there is; true while the service floods its log.
bool read_flood(int& output) {
    size_t total = 0;
    while (output >= 0 && total < kMaxDrain && read_output(output, &total) && service_log.flooded()) {
    }
    return total > 0 && service_log.flooded();
}

/// Until the service's main process ends. Returns its wait status.
int supervise(pid_t service, int signals, int output) {
    int status = 0;
    size_t total = 0;
    bool flood = false;
    while (true) {
        pollfd ready[] = {{signals, POLLIN, 0}, {output, POLLIN, 0}};
        // A flood collects for a moment before it is read, or every line of it would wake us up.
        poll(ready, flood ? 1 : 2, flood ? kFloodPause : -1);
        signalfd_siginfo news{};
        while (read(signals, &news, sizeof news) == static_cast<ssize_t>(sizeof news)) {
            if (news.ssi_signo != SIGCHLD) {
                kill(service, static_cast<int>(news.ssi_signo));  // not yet reaped: the pid is still its own
                continue;
            }
            if (reap(service, &status)) {
                // All of our namespace but us: what the service has left behind would end with us, but its listening
                // sockets hold clients until then.
                kill(-1, SIGKILL);
                // What they printed last, as much as a pipe holds.
                for (total = 0; output >= 0 && total < kMaxDrain && read_output(output, &total);) {
                }
                service_log.finish();
                return status;
            }
        }
        if (output >= 0 && (flood || ready[1].revents != 0)) {
            const bool goes_on = read_flood(output);
            if (goes_on && !flood) {
                // So that the service need not wait meanwhile. What is in a pipe counts as its writer's memory.
                fcntl(output, F_SETPIPE_SZ, static_cast<int>(kMaxDrain));
            }
            flood = goes_on;
        }
    }
}

/// Everything after the lock; returns our exit status.
int run(const Arguments& args, int run_dir, int lock, int signals) {
    Text end;
    Failure failure;
    if (!sandbox.open(run_dir, failure) || !root.make(sandbox.words, args.run_dir, failure)) {
        failure.text.put("\n");
        leave_status(run_dir, end.put("failed "), failure.text);
        return kCannotRun;
    }
    int output[2];
    int report[2];
    pid_t service = -1;
    // The service's end of its output stays as services expect it.
    if (pipe2(output, O_CLOEXEC) == 0 && pipe2(report, O_CLOEXEC | O_NONBLOCK) == 0 &&
        fcntl(output[0], F_SETFL, O_NONBLOCK) == 0) {
        service = viscum::plain_fork();
    }
    if (service == 0) {
        run_service(args, run_dir, output[1], report[1]);
    }
    if (service < 0) {
        leave_status(run_dir, end.put("failed ").put_failure("cannot start", args.command[0], errno).put("\n"));
        return kCannotRun;
    }
    close(output[1]);
    close(report[1]);
    sandbox.close_files();
    if (!viscum::keep_only_kill(failure)) {
        failure.text.put("\n");
        leave_status(run_dir, end.put("failed "), failure.text);
        return kCannotRun;  // the service ends with us
    }
    if (is_executed(report[0])) {
        show_ready(lock, failure);
    }
    const int status = supervise(service, signals, output[0]);

    Text said;
    if (const ssize_t got = read(report[0], said.bytes, sizeof said.bytes - 1); got > 0) {
        said.bytes[got] = '\n';
        said.length = static_cast<size_t>(got) + 1;
        leave_status(run_dir, end.put("failed "), said);
        return kCannotRun;
    }
    const int value = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    end.put(WIFEXITED(status) ? "exited " : "signaled ").put(static_cast<uint64_t>(value)).put("\n");
    leave_status(run_dir, end);
    return WIFEXITED(status) ? value : 128 + value;
}

}  // namespace

int main(int argc, char** argv) {
    const bool entering = argc >= 4 && strcmp(argv[1], "--enter") == 0;
    if ((argc < 6 && !entering) || fcntl(kReady, F_GETFD) < 0) {
        Text usage;
        tell(2, usage.put("usage: viscum-shim NAME RUN_DIR LOG_FILE LOG_BYTES COMMAND [ARGUMENT...] 3>PIPE\n"));
        return 2;
    }
    if (entering) {
        _exit(viscum::enter(argv + 2));
    }
    const Arguments args{argv[2], argv[3], parse_number(argv[4]), argv + 5};
    umask(022);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    prctl(PR_SET_NAME, "viscum-shim");

    const int run_dir = open(args.run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (run_dir < 0) {
        refuse("cannot open", args.run_dir, errno);
    }
    if (!service_log.open(args.log_file, args.log_bytes)) {
        refuse("cannot open the log", args.log_file, errno);
    }
    sigset_t heard;
    sigemptyset(&heard);
    sigaddset(&heard, SIGCHLD);
    for (const int number : kForwarded) {
        sigaddset(&heard, number);
    }
    const int signals = signalfd(-1, &heard, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals < 0 || chdir("/") != 0) {
        refuse("cannot start", argv[1], errno);
    }
    // The parent may have died before its child could ask to die with it.
    pollfd parent{kReady, 0, 0};
    if (poll(&parent, 1, 0) < 0) {
        refuse("cannot watch", "viscumd", errno);
    }
    if ((parent.revents & POLLERR) != 0) {
        return 1;
    }
    if (getpid() != 1) {
        refuse("cannot run", "outside of a pid namespace of its own", EPERM);  // its end is to kill all beside it
    }
    const int lock = take_lock(run_dir, args.run_dir);
    if (prctl(PR_SET_PDEATHSIG, 0) != 0) {
        refuse("cannot outlive", "viscumd", errno);
    }
    service_log.count_in(run_dir);
    Text ready;
    tell(kReady, ready.put("+"));
    // The number stays taken: in the service's process it is the report's, and must be nobody else's until then.
    if (dup3(run_dir, kReady, O_CLOEXEC) < 0) {
        Text end;
        leave_status(run_dir, end.put("failed ").put_failure("cannot keep", args.run_dir, errno).put("\n"));
        _exit(kCannotRun);
    }
    _exit(run(args, run_dir, lock, signals));
}
