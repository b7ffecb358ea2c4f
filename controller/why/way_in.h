// SPDX-License-Identifier: GPL-2.0-only
// By which device or port a client's packets come in, and which of them has our filter.
#pragma once

#include <functional>
#include <vector>

#include "controller/why/evidence.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

/// Null where there is none of that number.
const Link* link_with(const std::vector<Link>& links, IfIndex index);

/// Fills filter_device and bridge of `evidence`, by its `client` and `query`. Returns the link that the datapath is to
/// be asked as: one that `carries` says has our filter; null where the client's packets meet none.
const Link* find_way_in(Evidence& evidence, const NlSocket& socket, const std::vector<Link>& links,
                        const std::function<bool(const Link&)>& carries);

}  // namespace viscum
