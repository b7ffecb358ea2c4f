// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/cage.h"

#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/text.h"
#include "controller/exporter/http_server.h"
#include "controller/ipc/observe.h"

namespace viscum {
namespace {

/// What the loop, the sockets, memory and the log of a last word need. Any other call fails with EPERM.
constexpr std::array kCalls{SCMP_SYS(epoll_wait),
                            SCMP_SYS(epoll_pwait),
                            SCMP_SYS(epoll_ctl),
                            SCMP_SYS(timerfd_settime),
                            SCMP_SYS(read),
                            SCMP_SYS(write),
                            SCMP_SYS(writev),
                            SCMP_SYS(close),
                            SCMP_SYS(accept4),
                            SCMP_SYS(connect),
                            SCMP_SYS(shutdown),
                            SCMP_SYS(recvfrom),
                            SCMP_SYS(sendto),
                            SCMP_SYS(recv),
                            SCMP_SYS(send),
                            SCMP_SYS(clock_gettime),
                            SCMP_SYS(brk),
                            SCMP_SYS(munmap),
                            SCMP_SYS(mremap),
                            SCMP_SYS(madvise),
                            SCMP_SYS(futex),
                            SCMP_SYS(getrandom),
                            SCMP_SYS(rt_sigreturn),
                            SCMP_SYS(sigreturn),
                            SCMP_SYS(rt_sigprocmask),
                            SCMP_SYS(restart_syscall),
                            SCMP_SYS(exit),
                            SCMP_SYS(exit_group),
                            SCMP_SYS(getpid),
                            SCMP_SYS(gettid),
                            SCMP_SYS(tgkill),
                            SCMP_SYS(socketcall),
                            SCMP_SYS(clock_gettime64),
                            SCMP_SYS(timerfd_settime64),
                            SCMP_SYS(futex_time64)};

/// No memory becomes executable, and no socket is made but one to viscumd: a filter on arguments.
bool allow_by_argument(scmp_filter_ctx filter) {
    constexpr std::uint64_t kExecutable = 4;  // PROT_EXEC
    const scmp_arg_cmp local{.arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX, .datum_b = 0};
    const scmp_arg_cmp data{.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = kExecutable, .datum_b = 0};
    bool all = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &local) == 0;
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)}) {
        const int code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &data);
        all = (code == 0 || code == -EDOM) && all;  // EDOM: not a call of this machine
    }
    return all;
}

bool install_filter() {
    const std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release);
    if (!filter) {
        return false;
    }
    for (const int call : kCalls) {
        if (const int code = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0); code != 0 && code != -EDOM) {
            return false;
        }
    }
    return allow_by_argument(filter.get()) && seccomp_load(filter.get()) == 0;
}

Status leave_root() {
    if (geteuid() != 0) {
        return {};
    }
    errno = 0;
    const passwd* account = getpwnam(kObserverAccount);
    if (account == nullptr || account->pw_uid == 0) {
        return Error{ENOENT, cat("there is no account '", kObserverAccount, "', and it does not run as root")};
    }
    const uid_t uid = account->pw_uid;
    const gid_t gid = account->pw_gid;
    if (setgroups(0, nullptr) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        return errno_error(cat("cannot become '", kObserverAccount, "'"));
    }
    return {};
}

/// Lowers, never raises.
void lower(int resource, rlim_t value) {
    rlimit limit{};
    if (getrlimit(resource, &limit) == 0 && limit.rlim_max > value) {
        limit.rlim_cur = limit.rlim_max = value;
        setrlimit(resource, &limit);
    }
}

}  // namespace

Status shut_exporter_cage(std::string* lacks) {
    if (auto status = leave_root(); !status) {
        return status;
    }
    constexpr rlim_t kOwnDescriptors = 16;
    lower(RLIMIT_NOFILE, HttpServer::kMostConnections + kOwnDescriptors);
    lower(RLIMIT_NPROC, 0);
    lower(RLIMIT_CORE, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return errno_error("cannot give up new privileges");
    }
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (!install_filter()) {
        *lacks = "no filter for system calls here";
    }
    return {};
}

}  // namespace viscum
