// SPDX-License-Identifier: GPL-2.0-only
// Who is where on a LAN, by the kernel's own tables. Read only, in the socket's namespace. Both forget who is silent:
// of the neighbours in hours, of a bridge's MACs in minutes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

/// The MAC of a neighbour on `device`; nullopt: the router does not know it now.
Result<std::optional<Mac>> neighbour_mac(const NlSocket& socket, IfIndex device, const IpAddress& address);

/// Where a bridge has seen a MAC.
struct BridgePlace {
    IfIndex bridge{};
    IfIndex port{};
    std::uint16_t vlan = 0;  // 0: the bridge tells no VLANs apart
    bool operator==(const BridgePlace&) const = default;
};
/// Of all bridges, each VLAN for itself. A bridge's own MAC has none.
Result<std::vector<BridgePlace>> bridge_places(const NlSocket& socket, const Mac& mac);

}  // namespace viscum
