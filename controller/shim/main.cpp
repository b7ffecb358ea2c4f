// SPDX-License-Identifier: GPL-2.0-only
// viscum-shim NAME RUN_DIR LOG_FILE LOG_BYTES UID GID GROUPS COMMAND [ARGUMENT...]
//
// Pid 1 of a service's pid namespace; it outlives viscumd. It starts COMMAND as UID, GID and GROUPS ("4,24", or "-" for
// none) with the shim's own environment, forwards signals to it, reaps what is orphaned, writes what it prints to
// LOG_FILE, and leaves its status in RUN_DIR/exit (supervise/process.h says what the files are). Its end ends the tree.
// NAME only shows in the process list.
//
// Descriptor 3 is a pipe to whoever starts it: "+" once RUN_DIR/lock is held, or "ERRNO TEXT" and the end. Until then
// the shim dies with its parent (PR_SET_PDEATHSIG, set by the parent's child), from then on it does not: a shim without
// the lock is never left behind. All signals are blocked when it is started, so that none is lost.
//
// One runs beside every service, so it is small: no C++ runtime, no stdio, no allocation, no wake-up when idle.
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "controller/shim/log.h"
#include "controller/shim/text.h"

namespace {

using viscum::Log;
using viscum::parse_number;
using viscum::Text;

constexpr int kReady = 3;
constexpr int kForwarded[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};
constexpr size_t kMaxDrain = 1U << 20;  // pipe(7): no pipe of an unprivileged process holds more
constexpr size_t kMaxGroups = 1024;
constexpr int kCannotRun = 127;

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
    uid_t uid;
    gid_t gid;
    const char* groups;
    char** command;
};

Log service_log;
gid_t group_list[kMaxGroups];

/// The lock, from now to our end: POSIX locks are dropped when *any* descriptor of the file is closed, so there is one.
void take_lock(int run_dir, const char* path) {
    const int lock = openat(run_dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (lock < 0 || fcntl(lock, F_SETLK, &whole) != 0) {
        refuse("cannot lock", path, errno == EACCES ? EAGAIN : errno);
    }
}

/// The view of the file system that the service gets: for now the host's, with the pids of its own namespace. Kernels
/// that forbid a new /proc (in some containers) leave the host's.
void prepare_root() {
    if (getpid() != 1) {
        return;  // started by hand: the mounts are not ours
    }
    // Without this a mount of ours would show on the host.
    if (mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) == 0) {
        // The names of all namespaces: nothing to a service, and 400 KB of kernel memory for each where there are
        // 1,000.
        umount2("/run/netns", MNT_DETACH);
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    }
}

[[noreturn]] void run_service(const Arguments& args, int output, int report) {
    const auto fail = [&report](const char* what, const char* name, int code) {
        Text text;
        tell(report, text.put_failure(what, name, code));
        _exit(kCannotRun);
    };
    size_t groups = 0;
    for (const char* at = args.groups; *at >= '0' && *at <= '9' && groups < kMaxGroups;) {
        group_list[groups++] = static_cast<gid_t>(parse_number(at));
        while (*at != '\0' && *at++ != ',') {
        }
    }
    setsid();
    umask(022);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
        dup3(report, kReady, O_CLOEXEC) < 0) {
        fail("cannot open", "/dev/null", errno);
    }
    report = kReady;
    // So that a service that is not root can open its /dev/stdout.
    [[maybe_unused]] const int ignored = fchown(1, args.uid, args.gid);
    // Kernels before 5.9 lack it; everything is CLOEXEC as well.
    syscall(SYS_close_range, static_cast<unsigned>(kReady) + 1, ~0U, 0);
    if (setgroups(groups, group_list) != 0 || setresgid(args.gid, args.gid, args.gid) != 0 ||
        setresuid(args.uid, args.uid, args.uid) != 0) {
        fail("cannot take the user's rights for", args.command[0], errno);
    }
    // By the bare call: C libraries keep two or three signals to themselves, and refuse to touch them.
    static const char kDefault[64] = {};  // the kernel's struct sigaction, whatever its layout
    for (int number = 1; number < _NSIG; ++number) {
        syscall(SYS_rt_sigaction, number, kDefault, nullptr, _NSIG / 8);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(args.command[0], args.command, environ);
    fail("cannot run", args.command[0], errno);
    __builtin_unreachable();
}

/// Fork as a bare system call: glibc's brings in stdio's and malloc's locks.
pid_t plain_fork() {
    clone_args how{};
    how.exit_signal = SIGCHLD;
    return static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof how));
}

/// RUN_DIR/exit, whole or not at all.
void leave_status(int run_dir, const Text& text) {
    const int fd = openat(run_dir, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write(fd, text.bytes, text.length) == static_cast<ssize_t>(text.length)) {
        renameat(run_dir, "exit.new", run_dir, "exit");
    } else {
        unlinkat(run_dir, "exit.new", 0);
    }
}

/// Reads once; false when there is nothing now, or nothing any more (then `output` is given up).
bool read_output(int& output, size_t* total) {
    static char bytes[16384];
    const ssize_t got = read(output, bytes, sizeof bytes);
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

/// Until the service's main process ends. Returns its wait status.
int supervise(pid_t service, int signals, int output) {
    int status = 0;
    size_t total = 0;
    while (true) {
        pollfd ready[] = {{signals, POLLIN, 0}, {output, POLLIN, 0}};
        poll(ready, 2, -1);
        signalfd_siginfo news{};
        while (read(signals, &news, sizeof news) == static_cast<ssize_t>(sizeof news)) {
            if (news.ssi_signo != SIGCHLD) {
                kill(service, static_cast<int>(news.ssi_signo));  // not yet reaped: the pid is still its own
                continue;
            }
            if (reap(service, &status)) {
                // What it printed last; not what its orphans, which end with us, may go on printing.
                for (total = 0; output >= 0 && total < kMaxDrain && read_output(output, &total);) {
                }
                service_log.finish();
                return status;
            }
        }
        if (output >= 0 && ready[1].revents != 0) {
            read_output(output, &total);
        }
    }
}

/// Everything after the lock; returns our exit status.
int run(const Arguments& args, int run_dir, int signals) {
    Text end;
    int output[2];
    int report[2];
    prepare_root();
    pid_t service = -1;
    if (pipe2(output, O_CLOEXEC) == 0 && pipe2(report, O_CLOEXEC | O_NONBLOCK) == 0) {
        fcntl(output[0], F_SETFL, O_NONBLOCK);  // the service's end stays as services expect it
        service = plain_fork();
    }
    if (service == 0) {
        run_service(args, output[1], report[1]);
    }
    if (service < 0) {
        leave_status(run_dir, end.put("failed ").put_failure("cannot start", args.command[0], errno).put("\n"));
        return kCannotRun;
    }
    close(output[1]);
    close(report[1]);
    const int status = supervise(service, signals, output[0]);

    Text failure;
    if (const ssize_t got = read(report[0], failure.bytes, sizeof failure.bytes - 1); got > 0) {
        failure.bytes[got] = '\0';
        leave_status(run_dir, end.put("failed ").put(failure.bytes).put("\n"));
        return kCannotRun;
    }
    const int value = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    end.put(WIFEXITED(status) ? "exited " : "signaled ").put(static_cast<uint64_t>(value)).put("\n");
    leave_status(run_dir, end);
    return WIFEXITED(status) ? value : 128 + value;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 9 || fcntl(kReady, F_GETFD) < 0) {
        Text usage;
        tell(2,
             usage.put(
                 "usage: viscum-shim NAME RUN_DIR LOG_FILE LOG_BYTES UID GID GROUPS COMMAND [ARGUMENT...] 3>PIPE\n"));
        return 2;
    }
    const Arguments args{argv[2],
                         argv[3],
                         parse_number(argv[4]),
                         static_cast<uid_t>(parse_number(argv[5])),
                         static_cast<gid_t>(parse_number(argv[6])),
                         argv[7],
                         argv + 8};
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
    if (poll(&parent, 1, 0) > 0 && (parent.revents & POLLERR) != 0) {
        return 1;
    }
    take_lock(run_dir, args.run_dir);
    prctl(PR_SET_PDEATHSIG, 0);
    Text ready;
    tell(kReady, ready.put("+"));
    close(kReady);
    _exit(run(args, run_dir, signals));
}
