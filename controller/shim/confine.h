// SPDX-License-Identifier: GPL-2.0-only
// What takes a process's rights away, by the instructions of RUN_DIR/sandbox: of the service itself, and of whatever
// is run beside it.
#pragma once

#include <sys/types.h>

#include "controller/shim/words.h"

namespace viscum {

/// All that must be opened while the host is in sight.
struct Confinement {
    Words words{};
    MappedFile filter{};
    int groups[kMaxCgroups]{};
    size_t group_count = 0;

    /// `path` is that of `run_dir`.
    bool open(int run_dir, Failure& failure);
    /// For a process that goes on without them.
    void close_files();
};

/// Joins the groups, takes the rights away and executes `command`, whose first word is looked up in PATH of
/// `environment` where it has no '/'. Descriptors 0-2 and `report` are kept, the last one until the command runs.
/// With `parent_lives`, the descriptor after `report`, a pipe's read end whose other end the parent holds, it is killed
/// when its parent ends. Returns only what went wrong.
Failure confine_and_run(const Confinement& sandbox, char** command, char** environment, int report, int parent_lives);

/// Keeps nothing but what it takes to signal the service's processes, whoever they run as.
bool keep_only_kill(Failure& failure);

/// Fork as a bare system call: a C library's brings in the locks of stdio and malloc.
pid_t plain_fork();

}  // namespace viscum
