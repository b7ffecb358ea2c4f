// SPDX-License-Identifier: GPL-2.0-only
// From claims to the entries of the three look-up maps. Pure.
//
// A single address with a single port is one entry of vs_exact. All other claims go through two tries: the longest
// prefix that holds the address names a set of ports, and the set names the rule. A set holds what shorter prefixes
// claim, too, where no longer one stands before it, so that two look-ups always decide and the longer prefix always
// wins.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ip.h"
#include "tcprog/abi.h"

namespace viscum {

/// What a rule claims; ports inclusive and in host byte order.
struct RuleKey {
    IpPrefix prefix;
    std::uint16_t first_port = 0;
    std::uint16_t last_port = 0;
    std::uint8_t protocol = 0;
    auto operator<=>(const RuleKey&) const = default;
};

// Map keys as bytes, so that they can be compared and sorted.
template <class T>
struct KeyLess {
    bool operator()(const T& a, const T& b) const { return __builtin_memcmp(&a, &b, sizeof(T)) < 0; }
};
template <class K>
using Entries = std::map<K, std::uint32_t, KeyLess<K>>;

struct RuleIndex {
    Entries<vs_exact_key> exact;    // -> rule
    Entries<vs_prefix_key> prefix;  // -> set
    Entries<vs_port_key> port;      // -> rule
    std::uint32_t flags = 0;        // enum vs_config_flag
    vs_filter filter{};
};

/// The only place where a rule's key becomes the ABI's, byte order included.
vs_addr abi_address(const IpAddress& address);
IpAddress from_abi(const vs_addr& address);
vs_exact_key exact_key(const IpAddress& address, std::uint16_t port, std::uint8_t protocol);

/// `rules` maps each claim to its rule's index; no two claims are equal in prefix and protocol with ports that overlap.
/// Deterministic: a set's id follows from what it holds, so an unchanged set keeps its entries, and no entry of a set
/// that is in use ever changes its meaning. Claims that are nested deep may need entries without end: it stops,
/// incomplete, once `port` has more than `port_limit`.
RuleIndex build_index(const std::map<RuleKey, std::uint32_t>& rules, std::size_t port_limit);

}  // namespace viscum
