// SPDX-License-Identifier: GPL-2.0-only
// Links: what there is, and the veth pair that joins a service's namespace with the router's.
// All calls act in the namespace of the socket that they are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "netns/ifname.h"
#include "netns/net_ns.h"
#include "netns/nl_socket.h"

namespace viscum {

enum class IfIndex : std::uint32_t {};  // 0 is no device
constexpr std::uint32_t number(IfIndex index) {
    return static_cast<std::uint32_t>(index);
}

struct Link {
    IfIndex index{};
    std::string name;
    std::string kind;  // "veth", "bridge", …; empty for hardware
    IfIndex master{};  // the bridge that it is a port of, or 0
    Mac mac{};
    std::uint32_t mtu = 0;
    bool up = false;                         // administratively
    bool arp = true;                         // false: IFF_NOARP
    bool ethernet = true;                    // frames have Ethernet headers (ARPHRD_ETHER)
    std::optional<std::uint32_t> peer_nsid;  // a veth's: the netns id of the other end's namespace (IFLA_LINK_NETNSID)
    IfIndex lower{};                         // a VLAN device's: the one below, or 0 where that is in another namespace

    bool operator==(const Link&) const = default;
};

Result<std::vector<Link>> list_links(const NlSocket& socket);
/// errno_code ENODEV where there is none.
Result<Link> find_link(const NlSocket& socket, const std::string& name);
Result<Link> find_link(const NlSocket& socket, IfIndex index);

/// A veth pair with one end here and the other, named `peer_name`, in `peer_ns`.
struct VethSpec {
    std::string name;
    std::string peer_name;  // "eth0"
    Mac peer_mac{};
    std::uint32_t mtu = 1500;
    bool arp = false;  // of the far end: it asks for its neighbours' MACs
};

/// Makes the pair and sets the near end up, in one request: the far end is born inside `peer_ns`, never here.
/// Idempotent: an existing veth of that name whose far end is `peer_name` in `peer_ns` is kept; any other device of the
/// name is left alone and errno_code is EEXIST. The far end's flags and address are `prepare_peer`'s.
Result<Link> create_veth(const NlSocket& socket, const VethSpec& spec, const NetNs& peer_ns);

/// The near end of such a pair has its name again, where another tool changed it; it may be down then. Idempotent: no
/// such pair is success. errno_code EEXIST: another device has the name.
Status keep_link_name(const NlSocket& socket, const VethSpec& spec, const NetNs& peer_ns);

/// In the service's namespace (`inside` is a socket opened there): sets the device's MAC, MTU and NOARP or not, no
/// IPv6 address generation, then up. Brings `lo` up. Writes only what differs.
Status prepare_peer(const NlSocket& inside, const VethSpec& spec);

/// Idempotent: ENODEV and ENOENT are success.
Status delete_link(const NlSocket& socket, const std::string& name);

/// The id by which the namespace of `socket` knows `ns`, if it knows it: writes nothing (RTM_GETNSID).
Result<std::optional<std::uint32_t>> known_net_ns_id(const NlSocket& socket, const NetNs& ns);

/// The same, for sure. Asks the kernel for one only where there is none
/// (RTM_GETNSID, RTM_NEWNSID; ids are per namespace and given by the kernel).
Result<std::uint32_t> net_ns_id(const NlSocket& socket, const NetNs& ns);

}  // namespace viscum
