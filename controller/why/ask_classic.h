// SPDX-License-Identifier: GPL-2.0-only
// The classic grade has no program that could be asked: its filters are read, and applied to the packet here.
#pragma once

#include <vector>

#include "base/instance.h"
#include "controller/why/evidence.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

/// Fills `begins`, `goes_on` and `listening` of `evidence`, for a packet that comes in by `filtered`; whose claim it is
/// viscumd's report tells, where there is one.
Status ask_filters(Evidence& evidence, const NlSocket& socket, const std::vector<Link>& links, const Link& filtered,
                   const Instance& instance);

}  // namespace viscum
