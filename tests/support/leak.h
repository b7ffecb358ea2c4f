// SPDX-License-Identifier: GPL-2.0-only
// The LEAK oracle: what there is, as lines of text that name the thing and nothing that changes by itself (no counters,
// ids, times). What is in `after` and not in `before` was left behind; what is missing was destroyed.
//
// Looked at, in this sandbox: every network namespace that has a name or a process in it (links, addresses, rules,
// routes, permanent neighbours, qdiscs and filters, nft), processes, the descriptors of those named viscum*, mounts as
// each process's mount namespace has them, control groups, pins, and the files below /run, /etc/viscum* and
// /var/lib/viscum*.
// A BPF program or map lives only as long as a filter, a pin or a descriptor holds it, so it is seen by these; the
// machine's list of them would show those of other sandboxes as well.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

/// Sorted; a line stands as often as the thing is there.
using Snapshot = std::vector<std::string>;

/// Takes some 20 ms a namespace. The caller and its ancestors are no part of it.
Result<Snapshot> take_snapshot();

/// "+ LINE" for what came, "- LINE" for what went; empty: no leak.
std::vector<std::string> difference(const Snapshot& before, const Snapshot& after);

/// The difference between `before` and now but for the lines that `stays` accepts, once it is empty or `limit` has
/// passed: the kernel ends processes and namespaces in its own time.
Result<std::vector<std::string>> leaks_since(
    const Snapshot& before, std::chrono::milliseconds limit,
    const std::function<bool(const std::string& line)>& stays = [](const std::string&) { return false; });

/// What viscumd keeps by design once its last service is removed: its state, the logs of services, and clsact, which
/// other tools may use. And what went by itself: viscumd's end of the connection that asked whether it listens. For
/// leaks_since().
bool viscumd_keeps(const std::string& line);
/// Of that, what it keeps in files of its own: made when there is something to write.
bool is_state_of_viscumd(const std::string& line);

}  // namespace viscum
