// SPDX-License-Identifier: GPL-2.0-only
#include "base/build_info.h"

namespace viscum {

const char* const kVersion = VISCUM_VERSION;

}  // namespace viscum
