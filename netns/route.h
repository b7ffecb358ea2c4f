// SPDX-License-Identifier: GPL-2.0-only
// Where the router would send a packet: the kernel's own answer (RTM_GETROUTE), rules and all.
#pragma once

#include <optional>

#include "base/ip.h"
#include "base/result.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

struct Way {
    enum class Kind {
        none,     // no route
        forward,  // out of `device`
        local,    // an address of the router's own
        refused,  // a route that forbids it: unreachable, blackhole, prohibit
        dropped,  // of what arrives so alone: forbidden there, or not forwarded, or from where it cannot come
                  // (rp_filter)
    };
    Kind kind = Kind::none;
    IfIndex device{};
    std::optional<IpAddress> gateway{};  // none: `device` is on the destination's link
    bool operator==(const Way&) const = default;
};

/// By whom a packet was sent, and by which device it came in: rules of the router may ask for both.
struct Arrival {
    IpAddress source;
    IfIndex device{};
};

/// The way to an address, of the router's own packets, or of those that arrive so. In the socket's namespace. Errors
/// are those of asking; that there is no way is none.
Result<Way> way_to(const NlSocket& socket, const IpAddress& destination, const std::optional<Arrival>& arrival = {});

}  // namespace viscum
