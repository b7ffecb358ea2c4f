// SPDX-License-Identifier: GPL-2.0-only
// The files of a run directory (process.h lists them), as viscumd writes and reads them.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "controller/supervise/process.h"

namespace viscum {

/// Writes what the shim reads, and removes what is left of the end before. Nobody holds the lock.
Status prepare(const LaunchSpec& spec);

/// The pid of the process whose lock on DIR/lock, open as `fd`, would hold up one of `type`: on the whole file, or on
/// the one byte at `start`; 0 for none.
Result<pid_t> lock_holder(int fd, short type = F_WRLCK, off_t start = 0);

/// An error, EAGAIN, until the shim that holds the lock has made the sandbox.
Status sandbox_stands(const std::string& run_dir);

/// The service's environment and what is to be different.
Result<std::vector<std::string>> merge_environment(const EnterSpec& spec);

}  // namespace viscum
