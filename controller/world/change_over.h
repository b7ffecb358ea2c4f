// SPDX-License-Identifier: GPL-2.0-only
// From the programs of an earlier viscumd to ours, on all devices at once: steps 2 to 5 of tcprog/migrate.h.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "netns/link.h"
#include "tcprog/loader.h"

namespace viscum {

/// Puts our programs where earlier ones are attached, as far as what these know was carried over. Before anything reads
/// the tables. A device that fails keeps what it has: the reconciler comes to it.
Status change_over(const NlSocket& socket, const Datapath& datapath, std::uint32_t filter_handle);

/// Removes the older pins once no device has an earlier program any more. What cannot be removed is left for the next
/// time.
void retire_earlier(const std::vector<Link>& links, Datapath& datapath, std::uint32_t filter_handle);

/// Takes away the filters of the grade `classic`, as far as they are there and can be.
void remove_classic(const std::vector<Link>& links, std::string_view instance);

}  // namespace viscum
