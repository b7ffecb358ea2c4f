// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/rule_index.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <tuple>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::uint32_t kPortBits = 16;
constexpr std::uint32_t kSetAndProtocolBits = 48;

struct Interval {
    std::uint8_t protocol = 0;
    std::uint32_t first = 0;
    std::uint32_t last = 0;  // inclusive
    std::uint32_t rule = 0;
    auto operator<=>(const Interval&) const = default;
};

/// Adds the part of `fresh` that no interval of `taken` covers.
void add_uncovered(std::vector<Interval>& taken, const Interval& fresh) {
    std::uint32_t next = fresh.first;
    std::sort(taken.begin(), taken.end());
    std::vector<Interval> added;
    for (const auto& other : taken) {
        if (other.protocol != fresh.protocol || other.last < next || other.first > fresh.last) {
            continue;
        }
        if (other.first > next) {
            added.push_back({fresh.protocol, next, other.first - 1, fresh.rule});
        }
        next = other.last + 1;
    }
    if (next <= fresh.last) {
        added.push_back({fresh.protocol, next, fresh.last, fresh.rule});
    }
    taken.insert(taken.end(), added.begin(), added.end());
}

/// What is claimed at `prefix`: its own claims, then those of ever shorter prefixes around it.
std::vector<Interval> set_of(const IpPrefix& prefix, const std::map<RuleKey, std::uint32_t>& rules) {
    std::vector<std::pair<int, Interval>> around;
    for (const auto& [key, rule] : rules) {
        if (key.prefix.contains(prefix)) {
            around.push_back({key.prefix.length, {key.protocol, key.first_port, key.last_port, rule}});
        }
    }
    std::sort(around.begin(), around.end(), [](const auto& a, const auto& b) {
        return std::tuple(-a.first, a.second) < std::tuple(-b.first, b.second);
    });
    std::vector<Interval> taken;
    for (const auto& [length, interval] : around) {
        add_uncovered(taken, interval);
    }
    std::sort(taken.begin(), taken.end());
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

std::uint32_t set_id(const std::vector<Interval>& set, std::map<std::uint32_t, std::vector<Interval>>& known) {
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

RuleIndex build_index(const std::map<RuleKey, std::uint32_t>& rules) {
    RuleIndex index;
    std::set<IpPrefix> wide;
    for (const auto& [key, rule] : rules) {
        if (key.prefix.is_single() && key.first_port == key.last_port) {
            index.exact[exact_key(key.prefix.address, key.first_port, key.protocol)] = rule;
        } else {
            wide.insert(key.prefix);
            index.flags |= std::uint32_t{key.prefix.address.is_v4() ? VS_WIDE_V4 : VS_WIDE_V6};
        }
    }
    std::map<std::uint32_t, std::vector<Interval>> known;
    for (const auto& prefix : wide) {
        const auto set = set_of(prefix, rules);
        const auto id = set_id(set, known);
        vs_prefix_key key{};
        key.prefixlen = static_cast<std::uint32_t>(prefix.length) + (prefix.address.is_v4() ? 96U : 0U);
        key.addr = abi_address(prefix.address);
        index.prefix[key] = id;
        for (const auto& interval : set) {
            add_ports(index.port, id, interval);
        }
    }
    return index;
}

}  // namespace viscum
