// SPDX-License-Identifier: GPL-2.0-only
// The connection tracking of one namespace: emptied between two cases, filled, and counted.
#pragma once

#include <cstdint>

#include "base/ip.h"
#include "base/result.h"
#include "netns/net_ns.h"

namespace viscum {

/// Entries of this namespace; 0 where the kernel tracks nothing.
Result<std::uint64_t> tracked_count(const NetNs& ns);

/// Forgets all of them. Idempotent.
Status forget_tracked(const NetNs& ns);

/// Adds `count` established TCP connections to `to`, which is translated to `backend`, each from a client of its own:
/// 10.88.0.0/16 and on. An error where fewer are there afterwards, or more than the kernel tracks (nf_conntrack_max)
/// would be.
Status add_tracked(const NetNs& ns, std::uint32_t count, const IpAddress& to, const IpAddress& backend);

/// Memory of the kernel that it cannot give back (SUnreclaim of /proc/meminfo), in bytes: of the whole machine.
Result<std::uint64_t> kernel_memory();

}  // namespace viscum
