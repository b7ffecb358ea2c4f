// SPDX-License-Identifier: GPL-2.0-only
// What is in the namespace of a service, to which the datapath leads.
#pragma once

#include <optional>
#include <vector>

#include "base/instance.h"
#include "controller/why/flow_query.h"
#include "controller/world/listening.h"
#include "netns/net_ns.h"
#include "netns/nl_socket.h"

namespace viscum {

/// By the number that the namespace of `socket` knows it by. errno_code ENOENT: none of the instance's has it.
Result<NetNs> namespace_at(const NlSocket& socket, const Instance& instance, std::uint32_t nsid);

/// Whether it has this very connection, apart from what TIME_WAIT leaves. nullopt: it cannot be seen.
std::optional<bool> has_open(const Result<NetNs>& ns, const FlowQuery& query);

/// nullopt: it cannot be seen.
std::optional<std::vector<Listening>> listening_for(const Result<NetNs>& ns, const FlowQuery& query);

}  // namespace viscum
