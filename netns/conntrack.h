// SPDX-License-Identifier: GPL-2.0-only
// What the router's connection tracking knows (ctnetlink, by libmnl).
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace viscum {

/// A flow as its first packet had it, before any translation.
struct TrackedFlow {
    IpAddress source;
    IpAddress destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    bool answered = false;
    bool operator==(const TrackedFlow&) const = default;
};

enum class Transport : std::uint8_t { tcp = 6, udp = 17 };  // IANA protocol numbers

/// The flows to any of `destinations` that the calling thread's namespace tracks; at most `limit`. TCP: connections
/// that are not at their end. A kernel without connection tracking has none: an empty list, no error.
Result<std::vector<TrackedFlow>> tracked_flows(Transport transport, const std::vector<IpPrefix>& destinations,
                                               std::size_t limit);

/// Ends the tracking of flows that began at any of `sources` while nothing translated their source: NAT asks its rules
/// at a flow's first packet alone, so they would stay as they are for as long as packets come. Their next packet is the
/// first of a new flow. At most `limit` at once: true, no others are left. Idempotent; true where nothing is tracked.
/// In the calling thread's namespace.
Result<bool> forget_untranslated_flows(const std::vector<IpPrefix>& sources, std::size_t limit);

}  // namespace viscum
