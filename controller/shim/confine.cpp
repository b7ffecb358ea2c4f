// SPDX-License-Identifier: GPL-2.0-only
#include "controller/shim/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

namespace viscum {
namespace {

constexpr size_t kMaxGroups = 1024;
constexpr int kCapabilities = 64;  // the kernel's own end is found by asking

struct Resource {
    const char* name;
    int number;
};
constexpr Resource kResources[] = {{"nofile", RLIMIT_NOFILE},
                                   {"core", RLIMIT_CORE},
                                   {"memlock", RLIMIT_MEMLOCK},
                                   {"msgqueue", RLIMIT_MSGQUEUE},
                                   {"nproc", RLIMIT_NPROC}};

rlim_t lower(const char* wanted, rlim_t now) {
    if (wanted[0] == '-') {
        return now;
    }
    const auto value = static_cast<rlim_t>(parse_number(wanted));
    return value < now ? value : now;
}

bool set_limit(const Step& step, Failure& failure) {
    for (const auto& known : kResources) {
        rlimit limit{};
        if (strcmp(known.name, step.argument[0]) != 0) {
            continue;
        }
        if (getrlimit(known.number, &limit) != 0) {
            break;
        }
        limit.rlim_max = lower(step.argument[2], limit.rlim_max);
        // The soft one may go up to the hard one.
        limit.rlim_cur = lower(step.argument[1], limit.rlim_max);
        if (setrlimit(known.number, &limit) != 0) {
            break;
        }
        return true;
    }
    return failure.set("cannot set the limit", step.argument[0], errno);
}

bool set_capabilities(uint64_t mask) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2]{};
    for (int i = 0; i < 2; ++i) {
        const auto half = static_cast<uint32_t>(mask >> (32 * i));
        sets[i] = {half, half, half};
    }
    return syscall(SYS_capset, &header, sets) == 0;
}

bool hide_memory(Failure& failure) {
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 || failure.set("cannot hide", "memory", errno);
}

bool drop_bounding(uint64_t mask, Failure& failure) {
    for (int number = 0; number < kCapabilities; ++number) {
        const bool kept = (mask >> number & 1) != 0;
        if (!kept && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) {
            // Past the last one that the kernel knows.
            return errno == EINVAL || failure.set("cannot drop", "capabilities", errno);
        }
    }
    return true;
}

bool take_identity(const Step& step, uint64_t mask, Failure& failure) {
    static gid_t groups[kMaxGroups];
    size_t count = 0;
    for (const char* at = step.argument[2]; *at >= '0' && *at <= '9' && count < kMaxGroups;) {
        groups[count++] = static_cast<gid_t>(parse_number(at));
        while (*at != '\0' && *at++ != ',') {
        }
    }
    const auto uid = static_cast<uid_t>(parse_number(step.argument[0]));
    const auto gid = static_cast<gid_t>(parse_number(step.argument[1]));
    // A change of user takes all capabilities, also those that are to stay.
    if (prctl(PR_SET_KEEPCAPS, mask != 0 ? 1 : 0, 0, 0, 0) != 0 || setgroups(count, groups) != 0 ||
        setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        return failure.set("cannot become user", step.argument[0], errno);
    }
    if (!set_capabilities(mask) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
        return failure.set("cannot give up", "capabilities", errno);
    }
    for (int number = 0; number < kCapabilities; ++number) {
        // Those of root come with the command, within the bounding set; others' would be lost by it.
        if ((mask >> number & 1) != 0 && uid != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0) {
            return failure.set("cannot keep", "a capability", errno);
        }
    }
    return true;
}

bool join_groups(const Confinement& sandbox, Failure& failure) {
    for (size_t i = 0; i < sandbox.group_count; ++i) {
        if (write(sandbox.groups[i], "0", 1) != 1) {
            return failure.set("cannot join", "a control group", errno);
        }
    }
    // Where the machine itself runs out of memory, services go before the router's own programs.
    const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    const bool scored = score >= 0 && write(score, "500", 3) == 3;
    const int code = errno;
    close(score);
    // In a container it may be out of reach.
    if (!scored && code != ENOENT && code != EACCES && code != EPERM && code != EROFS) {
        return failure.set("cannot set", "oom_score_adj", code);
    }
    // A kernel without control groups has nothing to hide.
    if (unshare(CLONE_NEWCGROUP) != 0 && errno != EINVAL) {
        return failure.set("cannot hide", "control groups", errno);
    }
    return true;
}

bool install_filter(const MappedFile& filter, Failure& failure) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return failure.set("cannot forbid", "new privileges", errno);
    }
    if (filter.length == 0) {
        return true;
    }
    sock_fprog program{};
    program.len = static_cast<unsigned short>(filter.length / sizeof(sock_filter));
    program.filter = reinterpret_cast<sock_filter*>(const_cast<char*>(filter.bytes));
    const bool done = filter.length % sizeof(sock_filter) == 0 && filter.length / sizeof(sock_filter) <= BPF_MAXINSNS &&
                      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
    return done || failure.set("cannot install", "seccomp", errno);
}

void reset_signals() {
    // By the bare call: C libraries keep two or three signals to themselves, and refuse to touch them.
    static const char kDefault[64] = {};  // the kernel's struct sigaction, whatever its layout
    for (int number = 1; number < _NSIG; ++number) {
        syscall(SYS_rt_sigaction, number, kDefault, nullptr, _NSIG / 8);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Ends where the parent has ended already.
bool die_with_parent(int parent_lives, Failure& failure) {
    pollfd parent{parent_lives, 0, 0};
    if (parent_lives < 0) {
        return true;
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || poll(&parent, 1, 0) < 0) {
        return failure.set("cannot watch", "the parent", errno);
    }
    if (parent.revents != 0) {
        _exit(0);
    }
    return true;
}

/// Returns the errno.
int execute(char** command, char** environment) {
    if (strchr(command[0], '/') != nullptr) {
        execve(command[0], command, environment);
        return errno;
    }
    const char* path = "";
    for (char** variable = environment; *variable != nullptr; ++variable) {
        if (strncmp(*variable, "PATH=", 5) == 0) {
            path = *variable + 5;
            break;
        }
    }
    int code = ENOENT;
    while (*path != '\0' && command[0][0] != '\0') {
        char name[PATH_MAX];
        const size_t length = strcspn(path, ":");
        const size_t rest = strlen(command[0]) + 1;
        if (length > 0 && length + 1 + rest <= sizeof name) {
            memcpy(name, path, length);
            name[length] = '/';
            memcpy(name + length + 1, command[0], rest);
            execve(name, command, environment);
            // As execvp(3): go on where there is nothing, remember what may not be run.
            if (errno == EACCES) {
                code = EACCES;
            } else if (errno != ENOENT && errno != ENOTDIR) {
                return errno;
            }
        }
        path += length + (path[length] == ':' ? 1 : 0);
    }
    return code;
}

bool take_rights_away(const Confinement& sandbox, Failure& failure) {
    Step step;
    Step user;
    uint64_t mask = 0;
    if (!sandbox.words.find(Op::user, &user)) {
        return failure.set("cannot read", "sandbox", EINVAL);
    }
    for (size_t at = 0; sandbox.words.next(&at, &step);) {
        if (step.op == Op::rlimit && !set_limit(step, failure)) {
            return false;
        }
        if (step.op == Op::capabilities) {
            mask = parse_number(step.argument[0]);
        }
    }
    // Root's session keyring is not the service's; kernels without keys have none, and some containers no way to them.
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS && errno != EPERM) {
        return failure.set("cannot leave", "the session keyring", errno);
    }
    return drop_bounding(mask, failure) && take_identity(user, mask, failure);
}

}  // namespace

bool Confinement::open(int run_dir, Failure& failure) {
    if (!words.open(run_dir, failure)) {
        return false;
    }
    Step step;
    if (words.find(Op::seccomp, &step)) {
        if (!filter.open(run_dir, "seccomp", failure)) {
            return false;
        }
        if (filter.length != parse_number(step.argument[0])) {
            return failure.set("cannot read", "seccomp", EINVAL);
        }
    }
    for (size_t at = 0; words.next(&at, &step);) {
        if (step.op != Op::cgroup) {
            continue;
        }
        const int file = group_count < kMaxCgroups ? ::open(step.argument[0], O_WRONLY | O_CLOEXEC) : -1;
        if (file < 0) {
            return failure.set("cannot open", step.argument[0], group_count < kMaxCgroups ? errno : E2BIG);
        }
        groups[group_count++] = file;
    }
    return true;
}

void Confinement::close_files() {
    words.close_file();
    filter.close_file();
    for (size_t i = 0; i < group_count; ++i) {
        close(groups[i]);
    }
    group_count = 0;
}

Failure confine_and_run(const Confinement& sandbox, char** command, char** environment, int report, int parent_lives) {
    Failure failure;
    // An entered command stays in the group of the process that waits for it, and is killed with it.
    if (parent_lives < 0 && setsid() < 0) {
        failure.set("cannot begin", "a session", errno);
        return failure;
    }
    umask(022);
    // Until the command is executed, processes of the service that are there already, perhaps as the same user, must
    // not get at our memory, and there must be nothing to get at: descriptors of the host are closed before any right
    // goes.
    if (!hide_memory(failure) || !join_groups(sandbox, failure)) {
        return failure;
    }
    const int last = parent_lives > report ? parent_lives : report;
    // Kernels before 5.9 lack it; everything is CLOEXEC as well.
    syscall(SYS_close_range, static_cast<unsigned>(last) + 1, ~0U, 0);
    // A change of user shows the memory anew (fs.suid_dumpable), and clears the wish to die with the parent.
    if (!take_rights_away(sandbox, failure) || !hide_memory(failure) || !die_with_parent(parent_lives, failure)) {
        return failure;
    }
    reset_signals();
    Step step;
    if (sandbox.words.find(Op::directory, &step) && chdir(step.argument[0]) != 0) {
        failure.set("cannot change to", step.argument[0], errno);
        return failure;
    }
    // Last, for it may forbid anything but to execute.
    if (install_filter(sandbox.filter, failure)) {
        failure.set("cannot run", command[0], execute(command, environment));
    }
    return failure;
}

bool keep_only_kill(Failure& failure) {
    return hide_memory(failure) &&
           (set_capabilities(1U << CAP_KILL) || failure.set("cannot give up", "capabilities", errno));
}

pid_t plain_fork() {
    clone_args how{};
    how.exit_signal = SIGCHLD;
    return static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof how));
}

}  // namespace viscum
