// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/cage.h"

#include <grp.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstddef>
#include <memory>

#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/exporter/http_server.h"
#include "controller/ipc/observe.h"

namespace viscum {
namespace {

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

/// What the loop, the sockets, memory and the log of a last word need. Any other call fails with EPERM. Where sockets
/// are also reached by socketcall(2), libseccomp lets the same pass there.
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
                            SCMP_SYS(clock_gettime64),
                            SCMP_SYS(timerfd_settime64),
                            SCMP_SYS(futex_time64)};

/// No memory becomes executable, and of sockets only one to viscumd is made.
bool allow_by_argument(const Filter& filter) {
    constexpr std::uint64_t kExecutable = 4;  // PROT_EXEC
    const scmp_arg_cmp local{.arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX, .datum_b = 0};
    const scmp_arg_cmp data{.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = kExecutable, .datum_b = 0};
    bool all = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &local) == 0;
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)}) {
        const int code = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, 1, &data);
        all = (code == 0 || code == -EDOM) && all;  // EDOM: not a call of this machine
    }
    return all;
}

/// socketcall(2) hides its arguments, so that libseccomp's rule for one kind of socket lets every kind in there. It
/// goes in front, and only denies: the exporter makes its socket by socket(2) itself.
std::string deny_hidden_sockets(std::uint32_t architecture) {
    const int socketcall = seccomp_syscall_resolve_name_arch(architecture, "socketcall");
    if (socketcall < 0) {
        return {};  // not a call of that machine
    }
    constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
    constexpr std::uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
    constexpr std::size_t kLowHalf = std::endian::native == std::endian::big ? 4 : 0;
    const std::array<sock_filter, 5> steps{{{kLoad, 0, 0, offsetof(seccomp_data, nr)},
                                            {kEqual, 0, 3, static_cast<std::uint32_t>(socketcall)},
                                            {kLoad, 0, 0, offsetof(seccomp_data, args) + kLowHalf},
                                            {kEqual, 0, 1, SYS_SOCKET},
                                            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM}}};
    return {reinterpret_cast<const char*>(steps.data()), sizeof steps};
}

bool set_filter(std::string program) {
    const sock_fprog code{static_cast<unsigned short>(program.size() / sizeof(sock_filter)),
                          reinterpret_cast<sock_filter*>(program.data())};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &code) == 0;
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

Result<std::string> exporter_filter(std::uint32_t architecture) {
    const std::string context = "cannot make a filter for system calls";
    const Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release);
    const bool native = architecture == seccomp_arch_native();
    bool made = filter && (native || (seccomp_arch_add(filter.get(), architecture) == 0 &&
                                      seccomp_arch_remove(filter.get(), SCMP_ARCH_NATIVE) == 0));
    for (const int call : kCalls) {
        const int code = made ? seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) : 0;
        made = made && (code == 0 || code == -EDOM);
    }
    if (!made || !allow_by_argument(filter)) {
        return errno_error(context, EINVAL);
    }
    const UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
    if (!file || seccomp_export_bpf(filter.get(), file.get()) != 0) {
        return errno_error(context);
    }
    const auto size = lseek(file.get(), 0, SEEK_END);
    std::string program(size > 0 ? static_cast<std::size_t>(size) : 0, '\0');
    if (program.empty() || pread(file.get(), program.data(), program.size(), 0) != size) {
        return errno_error(context, EIO);
    }
    return deny_hidden_sockets(architecture) + program;
}

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
    auto filter = exporter_filter(seccomp_arch_native());
    if (!filter || !set_filter(*std::move(filter))) {
        *lacks = "no filter for system calls here";
    }
    return {};
}

}  // namespace viscum
