// SPDX-License-Identifier: GPL-2.0-only
// What the prober gives up before it reads its first question.
#pragma once

#include <sys/types.h>

#include <stdint.h>

namespace viscum {

/// Everything but the user ID and the capabilities, of which none may be left, is given up as far as this kernel can:
/// *lacks gets the rest (kProberLacks…). Ends with all descriptors closed but 0 and `*epoll`, which it makes, and with
/// the filter of filter.h in force. Returns an errno; 0: the cage is shut.
int shut_cage(uid_t uid, gid_t gid, int* epoll, int32_t* lacks);

}  // namespace viscum
