// SPDX-License-Identifier: GPL-2.0-only
// The system calls that the prober makes once its cage is shut; any other ends it on the spot.
#pragma once

#include <linux/filter.h>

#include <stddef.h>

namespace viscum {

struct ProberFilter {
    const sock_filter* code;
    size_t length;  // in instructions
};

/// For SECCOMP_MODE_FILTER. Let in are the machine's native ABI, and of it: recvmsg, recvfrom, sendto without an
/// address (a socket that was handed over cannot be turned on anybody else), epoll_ctl, epoll_pwait, close,
/// clock_gettime and exit. So there is no way to a file, a socket, a process, or memory that may be executed.
ProberFilter prober_filter();

}  // namespace viscum
