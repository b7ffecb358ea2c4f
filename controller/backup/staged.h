// SPDX-License-Identifier: GPL-2.0-only
// A backup that was unpacked to be looked at: stage_backup() of pack.h made it. Secrets are in it.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/instance.h"
#include "base/result.h"

namespace viscum {

/// Where a `viscumctl restore` that has the instance's lock unpacks to.
std::string staging_directory(const Instance& instance);
/// And where one of this process does, that only says what it would change.
std::string dry_staging_directory(const Instance& instance, pid_t process);

/// What such ones left that were killed. For who has the lock.
Status remove_forgotten_staged(const Instance& instance);

/// Takes such a directory away, with all that is in it. Idempotent.
Status remove_staged(const std::string& dir);

}  // namespace viscum
