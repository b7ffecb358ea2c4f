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

/// A packet that came in, as far as rules of the router may ask for it. 0: not told, as kernels before 4.19 take it.
struct Arrival {
    IpAddress source;
    IfIndex device{};
    std::uint8_t protocol = 0;  // IANA
    std::uint16_t source_port = 0, destination_port = 0;
};

/// The way to an address, of the router's own packets, or of those that arrive so. In the socket's namespace. Errors
/// are those of asking; that there is no way is none.
Result<Way> way_to(const NlSocket& socket, const IpAddress& destination, const std::optional<Arrival>& arrival = {});

/// Whether the calling thread's namespace forwards IPv6 packets that come in by a device. way_to() asks that of IPv4
/// alone: for IPv6 it is ip6_forward() that asks, since 6.17 also the device.
bool forwards_ipv6(IfIndex device);

}  // namespace viscum
