// SPDX-License-Identifier: GPL-2.0-only
// Addresses and routes. All calls act in the namespace of the socket that they are given.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

/// Every address of every device with its on-link prefix length: 192.0.2.1/24 gives the address 192.0.2.1, length 24.
struct DeviceAddress {
    IfIndex device{};
    IpAddress address;
    int length = 0;
    bool operator==(const DeviceAddress&) const = default;
};
Result<std::vector<DeviceAddress>> list_addresses(const NlSocket& socket);

/// rtm_protocol of every route that Viscum makes ('V'); only those are ever removed.
inline constexpr std::uint8_t kRouteProtocol = 86;

/// What a service's namespace owns: exactly this and nothing else, on `device`, loopback aside.
struct OwnedAddresses {
    std::vector<IpAddress> single;   // each as /32 or /128, no DAD; the first of a family is preferred as source
    std::vector<IpPrefix> prefixes;  // each as a `local` route (AnyIP); IPv6 lets a socket bind to an address of such a
                                     // prefix, or name it as source, with the sysctl ipv6/ip_nonlocal_bind only
    bool operator==(const OwnedAddresses&) const = default;
};

/// Makes the namespace own `wanted` and removes what else stands on `device` (an address of ours that a changed file no
/// longer names). Also the default routes of both families, `dev DEVICE` without gateway, with the family's first
/// address as preferred source; a family without addresses gets none. A family with prefixes only takes the first
/// address of its first prefix as a single one, for that. All is reachable on return. Writes only what differs, and
/// returns how many writes that were: 0 says that all was in place.
Result<int> apply_addresses(const NlSocket& inside, IfIndex device, const OwnedAddresses& wanted);

/// The router's way to a service's alias: a route for the single address, `dev DEVICE` without gateway. Idempotent:
/// nothing is written where it is there. It goes with the device.
Status add_alias_route(const NlSocket& socket, IfIndex device, const IpAddress& alias);
/// Whether packets to the address take that route.
Result<bool> has_alias_route(const NlSocket& socket, IfIndex device, const IpAddress& alias);

}  // namespace viscum
