// SPDX-License-Identifier: GPL-2.0-only
// Who is whose child, from /proc.
#pragma once

#include <sys/types.h>

#include <vector>

namespace viscum {

/// 0 for one that has no parent here, or is gone.
pid_t parent_of(pid_t pid);

/// The children of `pid` and theirs, parents first. Of a shim's the first is the service's main process.
std::vector<pid_t> descendants(pid_t pid);

}  // namespace viscum
