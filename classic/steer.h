// SPDX-License-Identifier: GPL-2.0-only
// The filters of the classic grade, from what is served: pure. See docs/adr/0015.
//
// On a LAN device, by priority: flows that are kept where they are; what answers a service's questions for its clients'
// MACs; the claims, the longer prefix first. A packet is taken where its destination MAC is the router's, its source is
// on the device's own network, and it is whole: fragments, IPv4 options and IPv6 extension headers are the cloud's.
// On the router's end of a service's link: replies and questions for MACs go to the LAN, and everything else nowhere.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "classic/u32.h"
#include "netns/ifname.h"

namespace viscum {

/// What the kernel drops: a frame for a MAC that is not lo's, which is nobody's. gact would be another module.
inline constexpr IfIndex kNowhere{1};  // lo

/// A claim, and where its packets go.
struct SteeredClaim {
    IpPrefix destination;
    std::uint16_t first_port = 1, last_port = 65'535;
    std::uint8_t protocol = 6;   // IANA
    std::uint16_t mark = 0;      // of the claim, see claim_mark()
    IfIndex to{};                // a service's link, kNowhere, or none: the cloud
    std::vector<IfIndex> links;  // all that own the address and may serve a flow of it
    bool closed = false;         // its packets must not leave the site
    bool operator==(const SteeredClaim&) const = default;
};

/// A flow that has its place, whatever the claims say.
struct KeptFlow {
    IpAddress client, service;
    std::uint16_t client_port = 0, service_port = 0;
    std::uint8_t protocol = 6;
    IfIndex link{};  // none: the cloud's
    auto operator<=>(const KeptFlow&) const = default;
};

/// A network on a LAN, and the device by which the router reaches it.
struct LanNetwork {
    IpPrefix prefix;
    IfIndex router{};
    bool operator==(const LanNetwork&) const = default;
};

/// Fifteen bits that stand for the claim, and its slot. Claims may share them: see is_of().
std::uint16_t claim_mark(const IpPrefix& destination, std::uint16_t first_port, std::uint16_t last_port,
                         std::uint8_t protocol, int slot);

/// For a LAN device with the router's MAC `mac`. `solicits` is the address from which services ask for the MACs of
/// clients that they serve from any address of an IPv6 prefix.
std::vector<U32Filter> lan_filters(const Mac& mac, const std::vector<LanNetwork>& networks,
                                   const std::vector<SteeredClaim>& claims, const std::vector<KeptFlow>& kept,
                                   const IpAddress& solicits);

/// Takes the last claim out that may leave the site, where there is no room for the filters of all; with it each such
/// one around it, which would take its packets to another service. They are the cloud's then. The last of all, where
/// none may leave the site.
void give_last_to_cloud(std::vector<SteeredClaim>& claims);

/// For the router's end of the link of a service that owns these claims, and whose MAC is `mac`.
std::vector<U32Filter> fence_filters(IfIndex link, const Mac& mac, const std::vector<LanNetwork>& networks,
                                     const std::vector<SteeredClaim>& claims, const IpAddress& solicits);

/// What lan_filters() made of a kept flow, read back.
std::optional<KeptFlow> kept_flow_of(const U32Filter& filter);
/// Whether it made the filter of a claim: one that serves it.
bool serves(const U32Filter& filter);
/// Whether either of them made the filter for this claim, of whatever slot.
bool is_of(const U32Filter& filter, const SteeredClaim& claim);
/// The router's MAC by which a claim's filter was made.
std::optional<Mac> mac_of(const U32Filter& filter);

}  // namespace viscum
