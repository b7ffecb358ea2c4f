// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/errors.h"

#include <cerrno>
#include <cstring>
#include <map>

namespace viscum {
namespace {

using Errors = std::vector<int>;

const Errors kDescriptor = {EMFILE, ENFILE, ENOMEM};
const Errors kMemory = {ENOMEM};
const Errors kNewFile = {ENOSPC, EIO, ENOMEM};
const Errors kWrite = {ENOSPC, EIO};
const Errors kLook = {EIO, ENOMEM};

/// brk is not here: a kernel tells its failure by another value than an errno. Nor is what only fails for a program
/// that is wrong.
const std::map<std::string_view, Errors>& table() {
    static const std::map<std::string_view, Errors> errors = {
        // Files.
        {"openat", {ENOMEM, EMFILE, ENFILE, EIO, ENOSPC}},
        {"openat2", {ENOMEM, EMFILE, EIO}},
        {"read", {EIO, EINTR}},
        {"pread64", {EIO, EINTR}},
        {"write", {ENOSPC, EIO, EINTR}},
        {"pwrite64", kWrite},
        {"fsync", kWrite},
        {"fdatasync", kWrite},
        {"ftruncate", {EIO, EINTR}},
        {"fallocate", kWrite},
        {"rename", kNewFile},
        {"renameat", kNewFile},
        {"renameat2", kNewFile},
        {"unlink", kLook},
        {"unlinkat", kLook},
        {"rmdir", {EBUSY, EIO, ENOMEM}},
        {"mkdir", kNewFile},
        {"mkdirat", kNewFile},
        {"symlink", kNewFile},
        {"symlinkat", kNewFile},
        {"getdents64", kLook},
        {"stat", kLook},
        {"lstat", kLook},
        {"fstat", kMemory},
        {"newfstatat", kLook},
        {"statx", kLook},
        {"access", kLook},
        {"faccessat", kLook},
        {"faccessat2", kLook},
        {"readlink", kLook},
        {"readlinkat", kLook},
        {"chmod", kWrite},
        {"fchmod", kWrite},
        {"fchmodat", kWrite},
        {"chown", kWrite},
        {"fchown", kWrite},
        {"fchownat", kWrite},
        {"flock", {EINTR, ENOLCK}},
        {"fcntl", {ENOLCK, EMFILE}},
        {"memfd_create", kDescriptor},
        {"pipe2", {EMFILE, ENFILE}},
        {"inotify_init1", kDescriptor},
        {"inotify_add_watch", {ENOSPC, ENOMEM}},
        // Mounts and namespaces.
        {"mount", {ENOMEM, ENOSPC, EPERM}},
        {"umount2", {ENOMEM, EPERM}},
        {"open_tree", {EMFILE, ENOMEM, EPERM}},
        {"mount_setattr", {ENOMEM, EPERM}},
        {"unshare", {ENOMEM, ENOSPC, EPERM}},
        {"setns", {ENOMEM, EPERM}},
        // Sockets.
        {"socket", {EMFILE, ENFILE, ENOBUFS, ENOMEM}},
        {"socketpair", {EMFILE, ENFILE, ENOMEM}},
        {"bind", kMemory},
        {"listen", kMemory},
        {"connect", {ENOMEM, ENETUNREACH, EAGAIN}},
        {"accept4", {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR}},
        {"setsockopt", {ENOMEM, ENOBUFS}},
        {"getsockname", {ENOBUFS}},
        {"sendto", {ENOBUFS, ENOMEM, EINTR}},
        {"sendmsg", {ENOBUFS, ENOMEM, EINTR}},
        {"recvfrom", {ENOBUFS, ENOMEM, EINTR}},
        {"recvmsg", {ENOBUFS, ENOMEM, EINTR}},
        // Processes and waiting.
        {"clone", {EAGAIN, ENOMEM}},
        {"clone3", {EAGAIN, ENOMEM}},
        {"pidfd_open", kDescriptor},
        {"epoll_create1", kDescriptor},
        {"epoll_ctl", {ENOMEM, ENOSPC}},
        {"epoll_wait", {EINTR}},
        {"poll", {EINTR, ENOMEM}},
        {"ppoll", {EINTR, ENOMEM}},
        {"timerfd_create", kDescriptor},
        {"timer_create", {EAGAIN, ENOMEM}},
        {"signalfd4", kDescriptor},
        {"capset", {EPERM}},
        {"prctl", {EPERM}},
        // Memory and programs.
        {"mmap", kMemory},
        {"mremap", kMemory},
        {"mprotect", kMemory},
        {"bpf", {ENOMEM, EPERM, EBUSY}},
    };
    return errors;
}

}  // namespace

const std::vector<int>& errors_that_fit(std::string_view call) {
    static const Errors none;
    const auto found = table().find(call);
    return found == table().end() ? none : found->second;
}

std::string error_name(int error) {
    const char* const name = strerrorname_np(error);
    return name != nullptr ? name : "";
}

int error_number(std::string_view name) {
    constexpr int kLast = 133;
    for (int error = 1; error <= kLast; ++error) {
        if (error_name(error) == name) {
            return error;
        }
    }
    return 0;
}

}  // namespace viscum
