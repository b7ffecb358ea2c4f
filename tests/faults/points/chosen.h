// SPDX-License-Identifier: GPL-2.0-only
// The one point, or the one operation, that is to be repeated.
#pragma once

#include <cstdlib>
#include <string>

namespace viscum {

/// VISCUM_POINT; empty: all that the campaign draws.
inline std::string chosen() {
    const char* const value = std::getenv("VISCUM_POINT");
    return value != nullptr ? value : "";
}

}  // namespace viscum
