// SPDX-License-Identifier: GPL-2.0-only
// Memory that viscumd has and does not need is given back: on a router it is scarce.
#pragma once

#include <malloc.h>

namespace viscum {

/// Of what was freed, whole pages. (musl gives them back by itself.)
inline void give_back_memory() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

}  // namespace viscum
