// SPDX-License-Identifier: GPL-2.0-only
// TC filters of all tools, as far as others must know of them: read only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

struct TcFilter {
    std::uint32_t priority = 0;  // the lower ones see a frame first
    std::string kind;            // "bpf", "matchall", …
    bool operator==(const TcFilter&) const = default;
};

/// The first filter that a frame meets which `device` receives (by clsact or the older `ingress`). No device, qdisc or
/// filter: none.
Result<std::optional<TcFilter>> first_filter(const NlSocket& socket, IfIndex device);

}  // namespace viscum
