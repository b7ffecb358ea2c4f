// SPDX-License-Identifier: GPL-2.0-only
// What services may begin by themselves, per link: the map vs_links and its tries, kept equal to what is wanted.
//
// Where a service begins a flow, its own address is a cloud's, and an answer would never come back to it. So the
// programs translate on its link, one to one and without state, between the owned address and an alias that the router
// has a route for: source to alias on the way out (vs_service), destination back on the way in (vs_return). An origin is
// a second alias: as a destination it stands for an address that the service owns itself, in the real cloud.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "tcprog/loader.h"

namespace viscum {

/// One address of the service and what stands for it on the router's side; same family.
struct LinkAlias {
    IpAddress owned;   // by the service: the preferred source of its family, or an origin
    IpAddress alias;
    bool operator==(const LinkAlias&) const = default;
};

struct LinkTarget {
    IpPrefix prefix;
    std::uint16_t port = 0;      // 0: any
    std::uint8_t protocol = 6;   // IANA
    bool operator==(const LinkTarget&) const = default;
};

/// A link without entry begins nothing: all links of services with `egress: none`.
struct LinkEgress {
    static constexpr std::size_t kMaxOrigins = 6;
    std::uint32_t nsid = 0;            // of the service's namespace
    std::optional<LinkAlias> v4, v6;   // of its own source address
    std::vector<LinkAlias> origins;    // at most kMaxOrigins
    bool internet = false;
    std::vector<LinkTarget> targets;   // at most 64
    std::array<std::uint8_t, 6> mac{};  // of the service's end
    bool operator==(const LinkEgress&) const = default;
};

/// Packets since the link's entry was made.
struct LinkCounters {
    std::uint64_t out = 0, out_bytes = 0;  // that the service sent of flows of its own
    std::uint64_t in = 0, in_bytes = 0;    // that came back
    std::vector<std::pair<std::string, std::uint64_t>> refused;  // by reason: "not-allowed", "private", "no-route", …
};

class LinkTable {
public:
    /// Reads what stands in the maps. `datapath` must outlive the table.
    static LinkTable adopt(const Datapath& datapath);

    /// Makes the entry of the link `ifindex` equal to `wanted`; nullopt: none. Returns the number of writes.
    Result<int> apply(std::uint32_t ifindex, const std::optional<LinkEgress>& wanted);
    /// The links that have an entry.
    [[nodiscard]] std::vector<std::uint32_t> links() const;
    [[nodiscard]] LinkCounters counters(std::uint32_t ifindex) const;

private:
    explicit LinkTable(const Datapath& datapath) : datapath_(&datapath) {}
    const Datapath* datapath_;
    std::map<std::uint32_t, LinkEgress> entries_;
};

}  // namespace viscum
