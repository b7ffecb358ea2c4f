// SPDX-License-Identifier: GPL-2.0-only
// Mounts by descriptor, and places inside a root by name.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/shim/words.h"

namespace viscum {

/// Whether a path's look-up has told that nothing is there, and not that it could not tell.
constexpr bool is_missing(int code) {
    return code == ENOENT || code == ENOTDIR || code == ELOOP;
}

/// Flags of a mount; the values of MS_* and MOUNT_ATTR_* alike.
constexpr unsigned kReadOnly = 1;
constexpr unsigned kNoSuid = 2;
constexpr unsigned kNoDev = 4;
constexpr unsigned kNoExec = 8;

/// A detached copy of the mount at `path`, without what is mounted below; -1 with errno. Empty `path`: of `dir`.
int copy_mount(int dir, const char* path);

/// Mounts a copy on `target` (a descriptor) with at least `flags`, and devices only where `devices` says so. `name` is
/// for the failure. Before Linux 5.12 this needs the root's /proc, unless `flags` is 0.
bool attach(int mount, int target, unsigned flags, bool devices, const char* name, Failure& failure);

/// Gives a mount that is attached already at least `flags`.
bool protect(int mount, unsigned flags, const char* name, Failure& failure);

/// What `path` names where `root` is "/", as O_PATH; -1 with errno. Never leaves the root: ".." and symbolic links are
/// those of the root, and links of /proc are refused. `how` is 0 or O_NOFOLLOW, O_DIRECTORY.
int open_inside(int root, const char* path, int how);
/// The same where no part of it may be a symbolic link.
int open_plain(int root, const char* path, int how);

/// The same; what is missing is made: the directories on the way (0755), and an empty directory or file in the end.
/// -1 with `failure`.
int make_inside(int root, const char* path, bool directory, Failure& failure);

}  // namespace viscum
