// SPDX-License-Identifier: GPL-2.0-only
// System calls that reach beyond a process. Where a call would harm a machine that allows it, its arguments make no
// sense: whoever may not make it is told so before the kernel looks at them.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/e2e/attacker/attack.h"

namespace viscum {
namespace {

using Call = std::function<Attempt()>;

constexpr int kSenseless = 0x7eed'beef;

std::string scratch_directory() {
    std::string path = cat("/tmp/scratch-", getpid());
    mkdir(path.c_str(), 0700);
    return path;
}

Attempt mount_something(const char* source, const char* type, unsigned long flags) {
    const std::string at = scratch_directory();
    const Attempt attempt = tried(mount(source, at.c_str(), type, flags, nullptr), "mounted it");
    umount2(at.c_str(), MNT_DETACH);
    rmdir(at.c_str());
    return attempt;
}

Attempt clone_with(unsigned long flags) {
    const long pid = syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) {
        _exit(0);
    }
    const int error = errno;
    if (pid > 0) {
        waitpid(static_cast<pid_t>(pid), nullptr, 0);
    }
    return pid > 0 ? done("has a namespace") : denied(error);
}

Attempt clone3_with(std::uint64_t flags) {
    std::array<std::uint64_t, 8> arguments{flags, 0, 0, 0, SIGCHLD};
    const long pid = syscall(SYS_clone3, arguments.data(), sizeof arguments);
    if (pid == 0) {
        _exit(0);
    }
    return tried(pid, "has a namespace");
}

/// Into a namespace where one is already: needs the same rights as into another.
Attempt join_namespace(const char* name, int kind) {
    const UniqueFd fd(open(cat("/proc/self/ns/", name).c_str(), O_RDONLY | O_CLOEXEC));
    return fd ? tried(syscall(SYS_setns, fd.get(), kind), "joined") : denied(errno);
}

Attempt load_program() {
    const std::array<std::uint64_t, 2> code{0xb7, 0x95};  // r0 = 0; exit
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    attributes.insns = reinterpret_cast<std::uint64_t>(code.data());
    attributes.insn_cnt = code.size();
    attributes.license = reinterpret_cast<std::uint64_t>("GPL");
    const UniqueFd fd(static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
    return tried(fd.get(), "loaded a program");
}

Attempt count_events() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_SW_CPU_CLOCK;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    const UniqueFd fd(static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0)));
    return tried(fd.get(), "counts events");
}

Attempt push_input() {
    const UniqueFd terminal(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    const char key = '\n';
    return tried_or(ioctl(terminal ? terminal.get() : 0, TIOCSTI, &key), ENOTTY, "no terminal, but asked for it");
}

Attempt set_the_clock() {
    timex change{};
    change.modes = ADJ_TICK;  // 0: out of range, which only those are told who may
    return tried_or(adjtimex(&change), EINVAL, "may");
}

#ifdef __x86_64__
/// getpid by the 32-bit gate: a filter for one ABI only would not see the others.
Attempt call_as_32_bit() {
    long result = 20;
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? done("made a 32-bit call") : denied(static_cast<int>(-result));
}
Attempt call_as_x32() {
    return tried(syscall(0x4000'0000 | SYS_getpid), "made an x32 call");
}
#endif

void add_mount_calls(std::vector<std::pair<std::string, Call>>& calls) {
    calls.insert(
        calls.end(),
        {{"mount a tmpfs", [] { return mount_something("none", "tmpfs", 0); }},
         {"mount proc", [] { return mount_something("none", "proc", 0); }},
         {"mount sysfs", [] { return mount_something("none", "sysfs", 0); }},
         {"mount cgroup2", [] { return mount_something("none", "cgroup2", 0); }},
         {"mount by binding", [] { return mount_something("/", nullptr, MS_BIND); }},
         {"mount overlay", [] { return mount_something("none", "overlay", 0); }},
         {"remount",
          [] { return tried_or(mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr), EINVAL, "may"); }},
         {"umount", [] { return tried_or(umount2("/no such place", 0), ENOENT, "may"); }},
         {"umount /proc", [] { return tried_or(umount2("/proc", MNT_EXPIRE | MNT_FORCE), EINVAL, "may"); }},
         {"pivot_root", [] { return tried_or(syscall(SYS_pivot_root, "/no such", "/no such"), ENOENT, "may"); }},
         {"chroot", [] { return tried(chroot("/"), "changed the root"); }},
         {"fsopen", [] { return tried(syscall(SYS_fsopen, "tmpfs", 0), "opened a filesystem"); }},
         {"open_tree", [] { return tried(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE), "has a copy"); }},
         {"move_mount", [] { return tried_or(syscall(SYS_move_mount, -1, "", -1, "", 0), ENOENT, "may"); }},
         {"mount_setattr", [] { return tried_or(syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0), EINVAL, "may"); }}});
}

void add_namespace_calls(std::vector<std::pair<std::string, Call>>& calls) {
    static constexpr std::array<std::tuple<const char*, const char*, int>, 8> kKinds{
        {{"user", "user", CLONE_NEWUSER},
         {"mount", "mnt", CLONE_NEWNS},
         {"net", "net", CLONE_NEWNET},
         {"pid", "pid", CLONE_NEWPID},
         {"ipc", "ipc", CLONE_NEWIPC},
         {"uts", "uts", CLONE_NEWUTS},
         {"cgroup", "cgroup", CLONE_NEWCGROUP},
         {"time", "time", 0x80}}};  // CLONE_NEWTIME: none of clone(2)'s
    for (const auto& [name, file, flag] : kKinds) {
        const int kind = flag;
        const char* path = file;
        calls.emplace_back(cat("unshare ", name), [kind] { return tried(unshare(kind), "has a namespace"); });
        if (kind != 0x80) {
            calls.emplace_back(cat("clone ", name), [kind] { return clone_with(static_cast<unsigned>(kind)); });
        }
        calls.emplace_back(cat("setns ", name), [path, kind] { return join_namespace(path, kind); });
    }
    calls.emplace_back("clone3 net", [] { return clone3_with(CLONE_NEWNET); });
    calls.emplace_back("clone3 user", [] { return clone3_with(CLONE_NEWUSER); });
}

void add_interface_calls(std::vector<std::pair<std::string, Call>>& calls) {
    calls.insert(
        calls.end(),
        {{"bpf", load_program},
         {"keyctl",
          [] { return tried(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1), "has"); }},
         {"add_key",
          [] { return tried(syscall(SYS_add_key, "user", "viscum", "x", 1, KEY_SPEC_PROCESS_KEYRING), "did"); }},
         {"request_key",
          [] { return tried_or(syscall(SYS_request_key, "user", "viscum none", nullptr, 0), ENOKEY, "did"); }},
         {"userfaultfd", [] { return tried(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */), "has one"); }},
         {"io_uring_setup",
          [] {
              std::array<unsigned, 30> parameters{};
              return tried(syscall(SYS_io_uring_setup, 1, parameters.data()), "has a ring");
          }},
         {"io_uring_enter", [] { return tried_or(syscall(SYS_io_uring_enter, -1, 0, 0, 0, 0, 0), EBADF, "may"); }},
         {"perf_event_open", count_events},
         {"fanotify_init", [] { return tried(syscall(SYS_fanotify_init, 0, 0), "watches"); }},
         {"personality", [] { return tried(personality(ADDR_NO_RANDOMIZE), "without randomization"); }},
         {"terminal input", push_input},
         {"kernel log", [] { return tried(syscall(SYS_syslog, 10 /* SIZE_BUFFER */, nullptr, 0), "asked its size"); }},
         {"quotactl", [] { return tried_or(syscall(SYS_quotactl, kSenseless, nullptr, 0, nullptr), EINVAL, "may"); }},
         {"hang up", [] { return tried(syscall(SYS_vhangup), "hung up the terminal"); }}});
#ifdef __x86_64__
    calls.insert(calls.end(), {{"ports", [] { return tried(syscall(SYS_iopl, 3), "has the machine's ports"); }},
                               {"some ports", [] { return tried(syscall(SYS_ioperm, 0x80, 1, 1), "has port 0x80"); }},
                               {"32-bit call", call_as_32_bit},
                               {"x32 call", call_as_x32}});
#endif
}

void add_machine_calls(std::vector<std::pair<std::string, Call>>& calls) {
    calls.insert(
        calls.end(),
        {{"kexec_load", [] { return tried_or(syscall(SYS_kexec_load, 0, 0, nullptr, 0xdead), EINVAL, "may"); }},
         {"init_module", [] { return tried_or(syscall(SYS_init_module, nullptr, 0, ""), ENOEXEC, "may"); }},
         {"finit_module", [] { return tried_or(syscall(SYS_finit_module, -1, "", 0), EBADF, "may"); }},
         {"delete_module",
          [] { return tried_or(syscall(SYS_delete_module, "viscum none", O_NONBLOCK), ENOENT, "may"); }},
         {"reboot", [] { return tried_or(syscall(SYS_reboot, 0, 0, 0, nullptr), EINVAL, "may"); }},
         {"adjtimex", set_the_clock},
         {"settimeofday", [] { return tried(syscall(SYS_settimeofday, nullptr, nullptr), "may"); }},
         {"clock_settime",
          [] {
              const timespec never{0, -1};
              return tried_or(syscall(SYS_clock_settime, CLOCK_REALTIME, &never), EINVAL, "may");
          }},
         {"sethostname", [] { return tried(sethostname("attacked", 8), "changed it"); }},
         {"setdomainname", [] { return tried(setdomainname("attacked", 8), "changed it"); }},
         {"swapon", [] { return tried_or(swapon("/no such place", 0), ENOENT, "may"); }},
         {"swapoff", [] { return tried_or(swapoff("/no such place"), ENOENT, "may"); }},
         {"acct", [] { return tried_or(acct("/no such place"), ENOENT, "may"); }}});
}

}  // namespace

void add_kernel_items(Items& items, const Knowledge&) {
    std::vector<std::pair<std::string, Call>> calls;
    add_mount_calls(calls);
    add_namespace_calls(calls);
    add_interface_calls(calls);
    add_machine_calls(calls);
    for (auto& [name, call] : calls) {
        items.push_back({name, std::move(call)});
    }
}

}  // namespace viscum
