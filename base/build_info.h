// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace viscum {

/// "0.1.0", set by CMake.
extern const char* const kVersion;

}  // namespace viscum
