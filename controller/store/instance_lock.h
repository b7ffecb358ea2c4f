// SPDX-License-Identifier: GPL-2.0-only
// Who has it changes what an instance is: its viscumd, or who works in its place.
#pragma once

#include "base/instance.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// Held until the descriptor is closed. errno_code EBUSY: another process has it.
Result<UniqueFd> take_lock(const Instance& instance);

}  // namespace viscum
