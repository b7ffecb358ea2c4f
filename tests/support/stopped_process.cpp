// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/stopped_process.h"

#include <elf.h>
#include <seccomp.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

long ptrace_call(__ptrace_request request, pid_t pid, std::uintptr_t address, std::uintptr_t data) {
    return ptrace(request, pid, address, data);
}

std::string syscall_name(std::uint64_t number) {
    const std::unique_ptr<char, void (*)(void*)> name(
        seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)), std::free);
    return name ? std::string(name.get()) : cat("call-", number);
}

std::optional<std::size_t> path_argument(std::string_view name) {
    constexpr std::array kFirst{"open",  "access", "mkdir",  "rmdir",    "unlink", "rename",  "stat",    "lstat",
                                "chmod", "chown",  "execve", "readlink", "statfs", "umount2", "getxattr"};
    constexpr std::array kSecond{"openat",    "openat2",    "mkdirat",   "unlinkat",   "newfstatat",        "faccessat",
                                 "mount",     "faccessat2", "renameat2", "readlinkat", "inotify_add_watch", "fchmodat",
                                 "open_tree", "statx",      "renameat",  "execveat"};
    if (std::ranges::find(kFirst, name) != kFirst.end()) {
        return 0;
    }
    return std::ranges::find(kSecond, name) != kSecond.end() ? std::optional<std::size_t>(1) : std::nullopt;
}

std::string string_at(pid_t pid, std::uint64_t address) {
    constexpr std::uint64_t kPage = 4096;
    std::array<char, 256> bytes{};
    const std::size_t room = std::min<std::uint64_t>(bytes.size() - 1, kPage - address % kPage);
    iovec here{bytes.data(), room};
    iovec there{reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)), room};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) > 0 ? std::string(bytes.data()) : "";
}

void skip_call(pid_t pid) {
#if defined(__x86_64__)
    ptrace_call(PTRACE_POKEUSER, pid, offsetof(user, regs.orig_rax), static_cast<std::uintptr_t>(-1));
#elif defined(__aarch64__)
    int none = -1;
    iovec io{&none, sizeof none};
    ptrace_call(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, reinterpret_cast<std::uintptr_t>(&io));
#else
    (void)pid;
#endif
}

void set_result(pid_t pid, std::int64_t result) {
#if defined(__x86_64__)
    ptrace_call(PTRACE_POKEUSER, pid, offsetof(user, regs.rax), static_cast<std::uintptr_t>(result));
#elif defined(__aarch64__)
    user_regs_struct registers{};
    iovec io{&registers, sizeof registers};
    ptrace_call(PTRACE_GETREGSET, pid, NT_PRSTATUS, reinterpret_cast<std::uintptr_t>(&io));
    registers.regs[0] = static_cast<std::uint64_t>(result);
    ptrace_call(PTRACE_SETREGSET, pid, NT_PRSTATUS, reinterpret_cast<std::uintptr_t>(&io));
#else
    (void)pid;
    (void)result;
#endif
}

bool goes_by(pid_t pid, const std::string& name) {
    const auto comm = read_file(cat("/proc/", pid, "/comm"), 64);
    const auto line = read_file(cat("/proc/", pid, "/cmdline"), 1UL << 20);
    const std::string first = line ? line->substr(0, line->find('\0')) : "";
    return (comm && *comm == cat(name, "\n")) || first.substr(first.rfind('/') + 1) == name;
}

}  // namespace viscum
