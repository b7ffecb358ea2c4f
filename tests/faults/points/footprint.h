// SPDX-License-Identifier: GPL-2.0-only
// What an instance holds, as lines of text, in a hundredth of the time of the LEAK oracle: looked at by itself, without
// other programs. It knows by name what Viscum makes; the oracle (tests/support/leak.h), which does not, is asked once
// in a while as well.
//
// Looked at: names of namespaces, devices of the router, run directories and all else below /run/NAME, control groups,
// pins, the entries of tables, masquerading, processes of Viscum's, and files that were to be renamed.
// Which of its two slots a service has, and the numbers of processes and devices, do not show.
#pragma once

#include <string>
#include <vector>

#include "base/instance.h"
#include "netns/net_ns.h"

namespace viscum {

/// Sorted.
std::vector<std::string> footprint(const Instance& instance, const NetNs& router);

/// The entries of a pinned map; -1 where it cannot be read.
int map_entries(const std::string& pin);

}  // namespace viscum
