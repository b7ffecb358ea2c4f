// SPDX-License-Identifier: GPL-2.0-only
// The router's routes and neighbours, as the lab sets them (tests/bpf/lab.h), for the model.
#pragma once

#include <optional>

#include "tests/faults/model/model_world.h"

namespace viscum {

enum class Device { lan, uplink, link };

struct Way {
    Device device = Device::lan;
    bool gateway = false;  // another router comes next
    std::uint32_t mtu = 1500;
    /// Of the next hop, where it is known: the router does not ask for it then.
    std::optional<MacAddress> neighbour;
};

/// Where the router forwards a packet to; nothing where it takes it itself, or has no route. IPv6 has none
/// between addresses that never leave their link (RFC 4291).
std::optional<Way> find_way(const World& world, const IpAddress& source, const IpAddress& destination);

/// Whether the router's default route leads there, to the internet: by its device, and not on that device's own
/// network.
bool leads_to_internet(const World& world, const IpAddress& destination);

/// RFC 6890, RFC 4291: what is not the internet's, read as text; networks for documentation are.
bool is_special(const IpAddress& address);

}  // namespace viscum
