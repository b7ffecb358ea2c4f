// SPDX-License-Identifier: GPL-2.0-only
#include "controller/prober/cage.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <errno.h>
#include <signal.h>

#include "controller/prober/filter.h"
#include "controller/prober/protocol.h"

namespace viscum {
namespace {

constexpr unsigned kCapabilities = 64;

/// An empty directory that nobody can write to, and no way back: the host's mounts are none of this namespace's.
bool enter_empty_root() {
    // Any directory will do to hold it; this one is everywhere.
    constexpr char kHolder[] = "/proc";
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
        mount("none", kHolder, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=4k,nr_inodes=2,mode=0555") != 0 ||
        chdir(kHolder) != 0) {
        return false;
    }
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        return umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
    }
    return chroot(".") == 0 && chdir("/") == 0;  // an initramfs cannot be pivoted
}

bool leave_namespaces() {
    bool all = getpid() == 1;  // the pid namespace is the parent's doing
    // One by one: small kernels lack some.
    constexpr int kKinds[] = {CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
    for (const int kind : kKinds) {
        all = unshare(kind) == 0 && all;
    }
    return all;
}

int drop_rights(uid_t uid, gid_t gid) {
    for (unsigned capability = 0; capability < kCapabilities; ++capability) {
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);  // EINVAL behind the last one
    }
    if (setgroups(0, nullptr) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        return errno;
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capset, &header, none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return errno;
    }
    // The change of user cleared the first. The end of the channel tells of a parent that is gone already.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return 0;
}

/// Lowers, never raises.
void lower(int resource, rlim_t value) {
    rlimit limit{};
    if (getrlimit(resource, &limit) == 0) {
        limit.rlim_cur = value < limit.rlim_cur ? value : limit.rlim_cur;
        limit.rlim_max = limit.rlim_cur;
        setrlimit(resource, &limit);
    }
}

void lower_limits() {
    lower(RLIMIT_NOFILE, kProberMaxProbes + 8);  // the channel, the epoll instance, and sockets just taken
    lower(RLIMIT_FSIZE, 0);
    lower(RLIMIT_NPROC, 0);
    lower(RLIMIT_MEMLOCK, 0);
    lower(RLIMIT_MSGQUEUE, 0);
    lower(RLIMIT_CORE, 1);  // core(5): with 0, dumps may still be piped to a program
    // What it has is all that it will ever get.
    lower(RLIMIT_DATA, 0);
    lower(RLIMIT_AS, 0);
}

bool install_filter() {
    const ProberFilter filter = prober_filter();
    const sock_fprog program{static_cast<unsigned short>(filter.length), const_cast<sock_filter*>(filter.code)};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

int shut_cage(uid_t uid, gid_t gid, int* epoll, int32_t* lacks) {
    // Kernels before 5.9 lack close_range; all others are CLOEXEC as well.
    syscall(SYS_close, STDOUT_FILENO);
    syscall(SYS_close, STDERR_FILENO);
    syscall(SYS_close_range, 1U, ~0U, 0U);
    *epoll = epoll_create1(EPOLL_CLOEXEC);
    if (*epoll < 0) {
        return errno;
    }
    *lacks = (leave_namespaces() ? 0 : kProberLacksNamespaces) | (enter_empty_root() ? 0 : kProberLacksRoot);
    if (const int code = drop_rights(uid, gid); code != 0) {
        return code;
    }
    lower_limits();
    if (!install_filter()) {
        *lacks |= kProberLacksSeccomp;
    }
    return 0;
}

}  // namespace viscum
