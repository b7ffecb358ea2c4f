// SPDX-License-Identifier: GPL-2.0-only
// Finds out what becomes of a packet, on this machine and in the calling thread's namespace: asks the kernel for ways
// and sockets, and the datapath itself by a dry run. Needs root. Changes nothing.
#pragma once

#include "base/instance.h"
#include "controller/why/evidence.h"

namespace viscum {

/// `daemon`: viscumd's report, where it gave one. What cannot be found out is left as if it were not there, and
/// `not_asked` says why the datapath is silent. Failure: the kernel tells nothing of links and ways.
Result<Evidence> gather(const Instance& instance, const FlowQuery& query, std::optional<DaemonReport> daemon);

}  // namespace viscum
