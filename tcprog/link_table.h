// SPDX-License-Identifier: GPL-2.0-only
// What services may begin by themselves, per link: the map vs_links and its tries, kept equal to what is wanted.
//
// Where a service begins a flow, its own address is a cloud's, and an answer would never come back to it. So the
// programs translate on its link, one to one and without state, between the owned address and an alias that the router
// has a route for: source to alias on the way out (vs_service), destination back on the way in (vs_return). An origin
// is a second alias: as a destination it stands for an address that the service owns itself, in the real cloud.
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
#include "tcprog/rule_index.h"

namespace viscum {

/// One address of the service and what stands for it on the router's side; same family.
struct LinkAlias {
    IpAddress owned;  // by the service: the preferred source of its family, or an origin
    IpAddress alias;
    bool operator==(const LinkAlias&) const = default;
};

struct LinkTarget {
    IpPrefix prefix;
    std::uint16_t port = 0;     // 0: any
    std::uint8_t protocol = 6;  // IANA
    bool operator==(const LinkTarget&) const = default;
};

/// A link without entry begins nothing: all links of services with `egress: none`.
struct LinkEgress {
    static constexpr std::size_t kMaxOrigins = VS_ORIGINS;
    static constexpr std::size_t kMaxTargets = 64;
    std::uint32_t nsid = 0;           // of the service's namespace
    std::optional<LinkAlias> v4, v6;  // of its own source address
    std::vector<LinkAlias> origins;   // at most kMaxOrigins
    bool internet = false;
    std::vector<LinkTarget> targets;    // at most kMaxTargets
    std::array<std::uint8_t, 6> mac{};  // of the service's end
    bool operator==(const LinkEgress&) const = default;
};

// The only places where an entry becomes the ABI's, byte order included.
vs_link abi_link(const LinkEgress& egress);
vs_egress_key target_key(std::uint32_t ifindex, const LinkTarget& target);

/// Packets since the link's entry was made; bytes count from the IP header on.
struct LinkCounters {
    std::uint64_t out = 0, out_bytes = 0;  // that the service sent of flows of its own
    std::uint64_t in = 0, in_bytes = 0;    // that came back
    /// By reason, each of them always: "not-allowed", "private", "no-route", "not-owned" on the way out, "unasked" on
    /// the way in.
    std::vector<std::pair<std::string, std::uint64_t>> refused;
    bool known = true;  // false: they cannot be read now
};

class LinkTable {
public:
    /// Reads what stands in the maps. `datapath` must outlive the table.
    static LinkTable adopt(const Datapath& datapath);

    /// Makes the entry of the link `ifindex` equal to `wanted`; nullopt: none. Returns the number of writes: 0 says
    /// that all was in place. A service may begin something when all that allows it is there: targets come before the
    /// link's entry and go after it. An entry for another namespace starts with new counters. errno_code ENOSPC: more
    /// links or targets than the maps hold; EINVAL: families mixed, or too many origins or targets. Nothing was changed
    /// then.
    Result<int> apply(std::uint32_t ifindex, const std::optional<LinkEgress>& wanted);
    /// The links for which anything stands in the maps, also what a viscumd left that was killed half-way.
    [[nodiscard]] std::vector<std::uint32_t> links() const;
    /// Zeros for a link without entry.
    [[nodiscard]] LinkCounters counters(std::uint32_t ifindex) const;

private:
    struct Entry {
        bool counted = false;
        Entries<vs_egress_key> targets;
        std::optional<vs_link> link;
    };
    explicit LinkTable(const Datapath& datapath) : datapath_(&datapath) {}
    void read();
    [[nodiscard]] Status check_room(const Entry& present, const Entries<vs_egress_key>& targets) const;
    Status put(std::uint32_t ifindex, Entry& entry, const LinkEgress& wanted, int* writes);
    Status remove(std::uint32_t ifindex, Entry& entry, int* writes);
    Status remove_targets_but(Entry& entry, const Entries<vs_egress_key>& staying, int* writes);
    Status clear_counters(std::uint32_t ifindex, Entry& entry, int* writes);

    const Datapath* datapath_;
    std::map<std::uint32_t, Entry> entries_;
};

}  // namespace viscum
