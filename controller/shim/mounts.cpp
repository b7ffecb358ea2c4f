// SPDX-License-Identifier: GPL-2.0-only
#include "controller/shim/mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

namespace viscum {
namespace {

// As linux/mount.h has them; that header and the C library's do not go together everywhere.
constexpr unsigned kOpenTreeClone = 1;
constexpr unsigned kMoveFromEmptyPath = 0x4;
constexpr unsigned kMoveToEmptyPath = 0x40;
constexpr int kEmptyPath = 0x1000;
struct MountAttributes {
    uint64_t set;
    uint64_t clear;
    uint64_t propagation;
    uint64_t user_namespace;
};

constexpr int kMaxLinks = 8;  // dangling ones, one in the other
constexpr int kMaxAttempts = 16;

bool set_flags(int mount, unsigned flags, bool devices) {
    const MountAttributes attributes{flags, devices ? kNoDev : 0, 0, 0};
    return syscall(SYS_mount_setattr, mount, "", kEmptyPath, &attributes, sizeof attributes) == 0;
}

/// mount(2) sets all flags anew, where mount_setattr(2) changes some.
bool remount(int mount, unsigned flags, bool devices) {
    Text path;
    path.put("/proc/self/fd/").put(static_cast<uint64_t>(mount));
    path.bytes[path.length] = '\0';
    struct statfs now {};
    if (fstatfs(mount, &now) != 0) {
        return false;
    }
    const auto old = static_cast<unsigned long>(now.f_flags);
    constexpr unsigned long kNoAtime = 1024;  // ST_NOATIME is MS_NOATIME, and so is the next
    constexpr unsigned long kNoDirAtime = 2048;
    constexpr unsigned long kRelAtime = 4096;
    unsigned long all = MS_REMOUNT | MS_BIND | flags;
    all |= old & (kReadOnly | kNoSuid | kNoExec | kNoAtime | kNoDirAtime);
    all |= (old & kRelAtime) != 0 ? MS_RELATIME : 0;
    all |= devices ? 0 : old & kNoDev;
    return ::mount(nullptr, path.bytes, nullptr, all, nullptr) == 0;
}

int open_as(int root, const char* path, int how, uint64_t resolve) {
    open_how options{};
    options.flags = static_cast<uint64_t>(O_PATH | O_CLOEXEC | how);
    options.resolve = resolve | RESOLVE_NO_MAGICLINKS;
    // openat2(2): EAGAIN where something was renamed anywhere while a ".." was followed.
    int found = -1;
    for (int attempt = 0; attempt < kMaxAttempts && (attempt == 0 || (found < 0 && errno == EAGAIN)); ++attempt) {
        found = static_cast<int>(syscall(SYS_openat2, root, path, &options, sizeof options));
    }
    return found;
}

int make_missing(int root, const char* path, bool directory, int depth, Failure& failure);

/// Makes what the dangling link `path` points to.
bool make_target(int root, int link, const char* path, bool directory, int depth, Failure& failure) {
    char target[PATH_MAX];
    size_t length = 0;
    char text[PATH_MAX];
    const ssize_t got = readlinkat(link, "", text, sizeof text - 1);
    if (got <= 0 || depth == kMaxLinks) {
        return failure.set("cannot follow the link", path, got <= 0 ? errno : ELOOP);
    }
    if (text[0] != '/') {
        length = static_cast<size_t>(strrchr(path, '/') - path) + 1;
        memcpy(target, path, length);
    }
    if (length + static_cast<size_t>(got) >= sizeof target) {
        return failure.set("cannot follow the link", path, ENAMETOOLONG);
    }
    memcpy(target + length, text, static_cast<size_t>(got));
    target[length + static_cast<size_t>(got)] = '\0';
    const int made = make_missing(root, target, directory, depth + 1, failure);
    if (made >= 0) {
        close(made);
    }
    return made >= 0;
}

/// The last part of `path`, which was not found in `parent`.
bool make_part(int root, int parent, const char* path, bool directory, int depth, Failure& failure) {
    const int link = open_inside(root, path, O_NOFOLLOW);
    if (link >= 0) {
        const bool made = make_target(root, link, path, directory, depth, failure);
        close(link);
        return made;
    }
    if (errno != ENOENT) {
        return failure.set("cannot look for", path, errno);
    }
    const char* name = strrchr(path, '/') + 1;
    if (directory) {
        return mkdirat(parent, name, 0755) == 0 || failure.set("cannot make", path, errno);
    }
    const int file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
    if (file < 0) {
        return failure.set("cannot make", path, errno);
    }
    close(file);
    return true;
}

int make_missing(int root, const char* path, bool directory, int depth, Failure& failure) {
    char part[PATH_MAX];
    const size_t length = strlen(path);
    if (path[0] != '/' || length >= sizeof part) {
        failure.set("cannot make", path, EINVAL);
        return -1;
    }
    memcpy(part, path, length + 1);
    int parent = dup(root);
    if (parent < 0) {
        failure.set("cannot open", path, errno);
    }
    for (size_t end = 1; parent >= 0 && end <= length; ++end) {
        if (path[end] != '/' && path[end] != '\0') {
            continue;
        }
        const bool last = path[end] == '\0';
        part[end] = '\0';
        int found = open_inside(root, part, last && !directory ? 0 : O_DIRECTORY);
        if (found < 0 && errno == ENOENT) {
            if (!make_part(root, parent, part, !last || directory, depth, failure)) {
                close(parent);
                return -1;
            }
            found = open_inside(root, part, last && !directory ? 0 : O_DIRECTORY);
        }
        if (found < 0) {
            failure.set("cannot open", part, errno);
        }
        close(parent);
        parent = found;
        part[end] = path[end];
    }
    return parent;
}

}  // namespace

int copy_mount(int dir, const char* path) {
    return static_cast<int>(
        syscall(SYS_open_tree, dir, path, kOpenTreeClone | static_cast<unsigned>(O_CLOEXEC) | kEmptyPath));
}

bool attach(int mount, int target, unsigned flags, bool devices, const char* name, Failure& failure) {
    bool set = set_flags(mount, flags, devices);
    if (!set && errno != ENOSYS) {
        return failure.set("cannot set the flags of", name, errno);
    }
    if (syscall(SYS_move_mount, mount, "", target, "", kMoveFromEmptyPath | kMoveToEmptyPath) != 0) {
        return failure.set("cannot mount on", name, errno);
    }
    set = set || flags == 0 || remount(mount, flags, devices);
    return set || failure.set("cannot set the flags of", name, errno);
}

bool protect(int mount, unsigned flags, const char* name, Failure& failure) {
    const bool set = set_flags(mount, flags, false) || (errno == ENOSYS && remount(mount, flags, false));
    return set || failure.set("cannot set the flags of", name, errno);
}

int open_inside(int root, const char* path, int how) {
    return open_as(root, path, how, RESOLVE_IN_ROOT);
}

int open_plain(int root, const char* path, int how) {
    return open_as(root, path, how, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

int make_inside(int root, const char* path, bool directory, Failure& failure) {
    return make_missing(root, path, directory, 0, failure);
}

}  // namespace viscum
