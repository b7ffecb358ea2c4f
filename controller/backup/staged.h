// SPDX-License-Identifier: GPL-2.0-only
// A backup that was unpacked to be looked at: stage_backup() of pack.h made it.
#pragma once

#include <string>

#include "base/result.h"

namespace viscum {

/// Takes such a directory away, with all that is in it. Idempotent.
Status remove_staged(const std::string& dir);

}  // namespace viscum
