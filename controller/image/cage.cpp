// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/cage.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <clocale>
#include <csignal>
#include <memory>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr rlim_t kCpuSeconds = 1800;         // 2 GiB at little more than 1 MiB/s
constexpr rlim_t kMoreMemory = 96ULL << 20;  // beside what the program has at its start; zstd's window is most of it
constexpr rlim_t kDescriptors = 64;
constexpr std::array kCapabilities = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_MKNOD};

constexpr std::array kCalls = {
    // bytes
    "read",
    "pread64",
    "write",
    "pwrite64",
    "lseek",
    "_llseek",
    "readv",
    "writev",
    "close",
    "fcntl",
    "fcntl64",
    // names, below the only root there is
    "openat",
    "openat2",
    "fstat",
    "fstat64",
    "newfstatat",
    "fstatat64",
    "statx",
    "getdents64",
    "mkdirat",
    "unlinkat",
    "symlinkat",
    "linkat",
    "ftruncate",
    "ftruncate64",
    "fchown",
    "fchown32",
    "fchownat",
    "fchmod",
    "utimensat",
    "utimensat_time64",
    "fstatfs",
    "fstatfs64",
    // the parent
    "sendmsg",
    "recvmsg",
    "sendto",
    "recvfrom",
    "sendmmsg",
    "poll",
    "ppoll",
    // what C libraries do by themselves
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "futex",
    "futex_time64",
    "clock_gettime",
    "clock_gettime64",
    "gettimeofday",
    "time",
    "getrandom",
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "sigreturn",
    "restart_syscall",
    "getpid",
    "gettid",
    "tgkill",
    "exit",
    "exit_group",
};

Error cannot(std::string_view what) {
    return errno_error(cat("cannot ", what));
}

Status enter_root(const std::string& directory) {
    constexpr unsigned long kFlags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount(directory.c_str(), directory.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        mount(nullptr, directory.c_str(), nullptr, kFlags, nullptr) != 0 || chdir(directory.c_str()) != 0) {
        return cannot("mount the directory to unpack in");
    }
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        return umount2(".", MNT_DETACH) == 0 && chdir("/") == 0 ? Status() : cannot("leave the host's files");
    }
    // A root that is an initramfs cannot be pivoted from; it is moved upon, as switch_root does.
    if (mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 || chdir("/") != 0) {
        return cannot("leave the host's files");
    }
    return {};
}

Status keep_descriptors(std::vector<int> keep, int channel) {
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null || dup2(null.get(), STDIN_FILENO) < 0 || dup2(null.get(), STDOUT_FILENO) < 0 ||
        dup2(null.get(), STDERR_FILENO) < 0) {
        return cannot("open /dev/null");
    }
    keep.push_back(channel);
    std::ranges::sort(keep);
    unsigned first = STDERR_FILENO + 1;
    keep.push_back(INT_MAX);
    for (const int fd : keep) {
        const auto number = static_cast<unsigned>(fd);
        if (number > first && syscall(SYS_close_range, first, number - 1, 0) != 0 && errno != ENOSYS) {
            return cannot("close descriptors");
        }
        first = number + 1;
    }
    return {};
}

Result<rlim_t> address_space() {
    const auto text = read_file("/proc/self/statm", 4096);
    const auto pages = text ? parse_decimal(split(*text, ' ').front(), UINT32_MAX) : std::nullopt;
    if (!pages) {
        return Error{EIO, "cannot read /proc/self/statm"};
    }
    return static_cast<rlim_t>(*pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

Status set_limits(std::uint64_t max_file) {
    const auto before = address_space();
    if (!before) {
        return before.error();
    }
    const auto lower = [](auto which, rlim_t value) {
        rlimit limit{};
        if (getrlimit(which, &limit) != 0) {
            return false;
        }
        limit.rlim_max = std::min(limit.rlim_max, value);
        limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
        return setrlimit(which, &limit) == 0;
    };
    const bool done = lower(RLIMIT_FSIZE, max_file) && lower(RLIMIT_NOFILE, kDescriptors) &&
                      lower(RLIMIT_CPU, kCpuSeconds) && lower(RLIMIT_AS, *before + kMoreMemory) &&
                      lower(RLIMIT_CORE, 0);
    return done ? Status() : cannot("set limits");
}

Status drop_capabilities() {
    std::uint64_t kept = 0;
    for (const int capability : kCapabilities) {
        kept |= 1ULL << capability;
    }
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
        if (prctl(PR_CAPBSET_DROP, capability) != 0) {
            return cannot("drop capabilities");
        }
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    data[0].effective = data[0].permitted = static_cast<__u32>(kept);
    data[1].effective = data[1].permitted = static_cast<__u32>(kept >> 32U);
    return syscall(SYS_capset, &header, data.data()) == 0 ? Status() : cannot("drop capabilities");
}

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

bool allow(const Filter& filter, const char* name, const std::vector<scmp_arg_cmp>& arguments) {
    const int call = seccomp_syscall_resolve_name(name);
    // Calls that this machine does not have under the name have negative numbers.
    return call < 0 || seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call,
                                              static_cast<unsigned>(arguments.size()), arguments.data()) == 0;
}

/// Everything else fails with EPERM.
Status filter_calls() {
    const Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release);
    bool done = filter != nullptr;
    for (const char* name : kCalls) {
        done = done && allow(filter, name, {});
    }
    const scmp_arg_cmp not_executable = {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
    for (const char* name : {"mmap", "mmap2", "mprotect"}) {
        done = done && allow(filter, name, {not_executable});
    }
    // Whiteouts, and no other device.
    const scmp_arg_cmp character_device = {2, SCMP_CMP_EQ, S_IFCHR, 0};
    const scmp_arg_cmp no_device = {3, SCMP_CMP_EQ, 0, 0};
    done = done && allow(filter, "mknodat", {character_device, no_device});
    if (!done || seccomp_load(filter.get()) != 0) {
        return Error{ENOSYS, "cannot set a filter of system calls"};
    }
    return {};
}

Status build(const CageSpec& spec) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) {
        return cannot("give up privileges");
    }
    // Names in tars are UTF-8 or bytes; without it libarchive would change them.
    std::setlocale(LC_CTYPE, "C.UTF-8");
    // Inside the limit a write fails, which is told; the signal would say nothing.
    std::signal(SIGXFSZ, SIG_IGN);
    umask(0);
    if (auto done = keep_descriptors(spec.keep, spec.channel); !done) {
        return done;
    }
    pollfd parent{spec.channel, 0, 0};
    if (poll(&parent, 1, 0) > 0) {  // it died before PR_SET_PDEATHSIG
        return Error{EPIPE, "the parent is gone"};
    }
    if (auto done = set_limits(spec.max_file); !done) {
        return done;
    }
    if (auto done = enter_root(spec.directory); !done) {
        return done;
    }
    if (auto done = drop_capabilities(); !done) {
        return done;
    }
    return filter_calls();
}

}  // namespace

Result<pid_t> start_in_cage(const CageSpec& spec) {
    constexpr unsigned long kFlags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC;
    clone_args how{};  // clone itself takes its arguments in another order on s390x
    how.flags = kFlags;
    how.exit_signal = SIGCHLD;
    const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof how));
    if (pid < 0) {
        return errno_error("cannot make namespaces to unpack in");
    }
    if (pid > 0) {
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (const auto done = build(spec); !done) {
        spec.failed(done.error());
        _exit(1);
    }
    _exit(spec.inside());
}

}  // namespace viscum
