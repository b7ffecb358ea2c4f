// SPDX-License-Identifier: GPL-2.0-only
// The look-ups of rule.bpf.h over the entries of an index, and the plain search through all claims that they must
// equal.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "tcprog/rule_index.h"

namespace viscum {

using RuleNumber = std::optional<std::uint32_t>;

/// As the kernel does: one exact look-up, then two longest-prefix matches.
RuleNumber look_up(const RuleIndex& index, const IpAddress& address, std::uint16_t port, std::uint8_t protocol);

/// For each port the number of entries of the set that hold it.
std::vector<int> entries_by_port(const Entries<vs_port_key>& entries, std::uint32_t set, std::uint8_t protocol);

/// The rule of the longest prefix that claims a port, for one address.
class PlainSearch {
public:
    PlainSearch(const std::map<RuleKey, std::uint32_t>& claims, const IpAddress& address, std::uint8_t protocol);
    [[nodiscard]] RuleNumber rule(std::uint16_t port) const;

private:
    struct Claim {
        int length;
        std::uint16_t first;
        std::uint16_t last;
        std::uint32_t rule;
    };
    std::vector<Claim> claims_;
};

/// The same by the index.
class IndexSearch {
public:
    IndexSearch(const RuleIndex& index, const IpAddress& address, std::uint8_t protocol);
    [[nodiscard]] RuleNumber rule(std::uint16_t port) const;

private:
    std::map<std::uint16_t, std::uint32_t> exact_;
    struct Block {
        std::uint32_t length;
        std::uint16_t port;
        std::uint32_t rule;
    };
    std::vector<Block> blocks_;  // the longest first
};

/// `count` claims of both families and protocols, many of them inside one another, none in conflict.
std::map<RuleKey, std::uint32_t> random_claims(unsigned seed, std::size_t count);
/// An address near those.
IpAddress random_address(std::mt19937& random);

}  // namespace viscum
