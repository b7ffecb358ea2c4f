// SPDX-License-Identifier: GPL-2.0-only
// Mounts without a place (open_tree(2), mount_setattr(2)).
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace viscum {

/// What `path` names, as openat(2) has it, or `at` itself where that is empty, as the top of a mount of its own:
/// read-only, nosuid, nodev, in no namespace, gone with its last descriptor. It can only be reached: to be read, a
/// descriptor is opened through it. Empty where that cannot be: before Linux 5.12, or without CAP_SYS_ADMIN.
UniqueFd clone_read_only(int at, const std::string& path);

}  // namespace viscum
