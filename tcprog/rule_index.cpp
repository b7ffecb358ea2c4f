// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/rule_index.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::uint32_t kPortBits = 16;
constexpr std::uint32_t kSetAndProtocolBits = 48;
constexpr IpPrefix kAllOfV4{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}}, 0};

struct Interval {
    std::uint8_t protocol = 0;
    std::uint32_t first = 0;
    std::uint32_t last = 0;  // inclusive
    std::uint32_t rule = 0;
    auto operator<=>(const Interval&) const = default;
};
using PortSet = std::vector<Interval>;  // sorted, disjoint

using ClaimsByPrefix = std::map<IpPrefix, PortSet>;

/// What `around` holds where `taken` holds nothing, added to it.
void fill_holes(PortSet& taken, const PortSet& around) {
    PortSet added;
    auto other = taken.cbegin();
    for (const auto& fresh : around) {
        std::uint32_t next = fresh.first;
        while (other != taken.cend() && std::pair(other->protocol, other->last) < std::pair(fresh.protocol, next)) {
            ++other;
        }
        // The last one may reach into the next of `around` as well, so it is left where it is.
        for (auto at = other; at != taken.cend() && at->protocol == fresh.protocol && at->first <= fresh.last; ++at) {
            if (at->first > next) {
                added.push_back({fresh.protocol, next, at->first - 1, fresh.rule});
            }
            next = at->last + 1;
        }
        if (next <= fresh.last) {
            added.push_back({fresh.protocol, next, fresh.last, fresh.rule});
        }
    }
    const auto middle = taken.insert(taken.end(), added.begin(), added.end());
    std::inplace_merge(taken.begin(), middle, taken.end());
}

/// What is claimed at `prefix`: its own claims, then those of ever shorter prefixes around it.
PortSet set_of(const IpPrefix& prefix, const ClaimsByPrefix& claims, const std::set<int>& lengths) {
    PortSet taken;
    for (auto length = lengths.rbegin(); length != lengths.rend(); ++length) {
        if (*length > prefix.length) {
            continue;
        }
        if (const auto around = claims.find(IpPrefix::around(prefix.address, *length)); around != claims.end()) {
            fill_holes(taken, around->second);
        }
    }
    return taken;
}

/// The fewest aligned blocks of ports that make up an interval: at most 30.
void add_ports(Entries<vs_port_key>& entries, std::uint32_t set, const Interval& interval) {
    for (std::uint32_t first = interval.first; first <= interval.last;) {
        std::uint32_t bits = 0;
        while (bits < kPortBits && (first & ((2U << bits) - 1)) == 0 && first + (2U << bits) - 1 <= interval.last) {
            ++bits;
        }
        vs_port_key key{};
        key.prefixlen = kSetAndProtocolBits + kPortBits - bits;
        key.set_be = htonl(set);
        key.protocol = interval.protocol;
        key.port_be = htons(static_cast<std::uint16_t>(first));
        entries[key] = interval.rule;
        first += 1U << bits;
    }
}

std::uint32_t set_id(const PortSet& set, std::map<std::uint32_t, PortSet>& known) {
    std::string text;
    for (const auto& interval : set) {
        text += cat(unsigned{interval.protocol}, ' ', interval.first, ' ', interval.last, ' ', interval.rule, '\n');
    }
    auto id = static_cast<std::uint32_t>(fnv1a(text));
    while (known.contains(id) && known[id] != set) {
        ++id;
    }
    known[id] = set;
    return id;
}

void add_to(vs_filter& filter, const IpPrefix& claimed) {
    if (!claimed.is_single()) {
        filter.families &= ~std::uint32_t{claimed.address.is_v4() ? VS_FILTER_V4 : VS_FILTER_V6};
        return;
    }
    const vs_addr address = abi_address(claimed.address);
    const std::uint32_t bit = vs_filter_bit(&address);
    filter.bits[bit / 64] |= std::uint64_t{1} << (bit % 64);
}

vs_prefix_key prefix_key(const IpPrefix& prefix) {
    vs_prefix_key key{};
    key.prefixlen = static_cast<std::uint32_t>(prefix.length) + (prefix.address.is_v4() ? 96U : 0U);
    key.addr = abi_address(prefix.address);
    return key;
}

}  // namespace

vs_addr abi_address(const IpAddress& address) {
    vs_addr out{};
    static_assert(sizeof out == sizeof address.bytes);
    std::memcpy(&out, address.bytes.data(), sizeof out);
    return out;
}

IpAddress from_abi(const vs_addr& address) {
    IpAddress out;
    std::memcpy(out.bytes.data(), &address, sizeof address);
    return out;
}

vs_exact_key exact_key(const IpAddress& address, std::uint16_t port, std::uint8_t protocol) {
    vs_exact_key key{};
    key.addr = abi_address(address);
    key.port_be = htons(port);
    key.protocol = protocol;
    return key;
}

RuleIndex build_index(const std::map<RuleKey, std::uint32_t>& rules, std::size_t port_limit) {
    RuleIndex index;
    index.filter.families = VS_FILTER_V4 | VS_FILTER_V6;
    ClaimsByPrefix claims;
    std::set<int> lengths;
    std::set<IpPrefix> wide;
    for (const auto& [key, rule] : rules) {
        add_to(index.filter, key.prefix);
        claims[key.prefix].push_back({key.protocol, key.first_port, key.last_port, rule});
        lengths.insert(key.prefix.length);
        if (key.prefix.is_single() && key.first_port == key.last_port) {
            index.exact[exact_key(key.prefix.address, key.first_port, key.protocol)] = rule;
        } else {
            wide.insert(key.prefix);
            index.flags |= std::uint32_t{key.prefix.address.is_v4() ? VS_WIDE_V4 : VS_WIDE_V6};
        }
    }
    for (auto& [prefix, intervals] : claims) {
        std::sort(intervals.begin(), intervals.end());
    }
    if (index.flags == (VS_WIDE_V4 | VS_WIDE_V6)) {
        // IPv4 stands inside ::/0 in these keys: no IPv6 claim may reach it.
        wide.insert(kAllOfV4);
    }
    std::map<std::uint32_t, PortSet> known;
    for (const auto& prefix : wide) {
        const auto set = set_of(prefix, claims, lengths);
        const auto id = set_id(set, known);
        index.prefix[prefix_key(prefix)] = id;
        for (const auto& interval : set) {
            add_ports(index.port, id, interval);
        }
        if (index.port.size() > port_limit) {
            break;
        }
    }
    return index;
}

}  // namespace viscum
