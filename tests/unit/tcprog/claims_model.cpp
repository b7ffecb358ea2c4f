// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/tcprog/claims_model.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace viscum {
namespace {

/// Whether the leading bits of a trie's key are those of `data`. Bytes behind the length, both in the kernel's layout.
template <class K>
bool leads(const K& key, const K& data) {
    const auto* a = reinterpret_cast<const std::uint8_t*>(&key) + sizeof key.prefixlen;
    const auto* b = reinterpret_cast<const std::uint8_t*>(&data) + sizeof key.prefixlen;
    const std::size_t whole = key.prefixlen / 8;
    if (std::memcmp(a, b, whole) != 0) {
        return false;
    }
    const auto rest = key.prefixlen % 8;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

template <class K>
RuleNumber longest(const Entries<K>& entries, const K& data) {
    RuleNumber found;
    std::uint32_t length = 0;
    for (const auto& [key, value] : entries) {
        if (leads(key, data) && (!found || key.prefixlen >= length)) {
            found = value;
            length = key.prefixlen;
        }
    }
    return found;
}

RuleNumber set_at(const RuleIndex& index, const IpAddress& address) {
    const auto family = std::uint32_t{address.is_v4() ? VS_WIDE_V4 : VS_WIDE_V6};
    if ((index.flags & family) == 0) {
        return std::nullopt;
    }
    vs_prefix_key key{};
    key.addr = abi_address(address);
    return longest(index.prefix, key);
}

vs_port_key port_key(std::uint32_t set, std::uint8_t protocol, std::uint16_t port) {
    vs_port_key key{};
    key.set_be = htonl(set);
    key.protocol = protocol;
    key.port_be = htons(port);
    return key;
}

std::uint16_t random_port(std::mt19937& random) {
    return static_cast<std::uint16_t>(std::uniform_int_distribution<int>(0, 65535)(random));
}

bool conflicts(const RuleKey& a, const RuleKey& b) {
    return a.prefix == b.prefix && a.protocol == b.protocol && a.first_port <= b.last_port &&
           b.first_port <= a.last_port;
}

IpPrefix random_prefix(std::mt19937& random) {
    IpPrefix out{random_address(random), 0};
    const int width = out.address.width();
    out.length = width - std::uniform_int_distribution<int>(0, 7)(random);
    const int kept = 128 - (width - out.length);
    for (int bit = kept; bit < 128; ++bit) {
        auto& byte = out.address.bytes[static_cast<std::size_t>(bit / 8)];
        byte = static_cast<std::uint8_t>(byte & ~(0x80U >> bit % 8));
    }
    return out;
}

}  // namespace

RuleNumber look_up(const RuleIndex& index, const IpAddress& address, std::uint16_t port, std::uint8_t protocol) {
    const auto exact = index.exact.find(exact_key(address, port, protocol));
    if (exact != index.exact.end()) {
        return exact->second;
    }
    const auto set = set_at(index, address);
    return set ? longest(index.port, port_key(*set, protocol, port)) : std::nullopt;
}

std::vector<int> entries_by_port(const Entries<vs_port_key>& entries, std::uint32_t set, std::uint8_t protocol) {
    std::vector<int> out(65'536);
    for (const auto& [key, rule] : entries) {
        if (ntohl(key.set_be) == set && key.protocol == protocol) {
            const auto first = out.begin() + ntohs(key.port_be);
            std::for_each(first, first + (1 << (64 - key.prefixlen)), [](int& count) { ++count; });
        }
    }
    return out;
}

PlainSearch::PlainSearch(const std::map<RuleKey, std::uint32_t>& claims, const IpAddress& address,
                         std::uint8_t protocol) {
    for (const auto& [key, rule] : claims) {
        if (key.protocol == protocol && key.prefix.contains(address)) {
            claims_.push_back({key.prefix.length, key.first_port, key.last_port, rule});
        }
    }
}

RuleNumber PlainSearch::rule(std::uint16_t port) const {
    const Claim* best = nullptr;
    for (const auto& claim : claims_) {
        if (port >= claim.first && port <= claim.last && (best == nullptr || claim.length > best->length)) {
            best = &claim;
        }
    }
    return best == nullptr ? std::nullopt : RuleNumber(best->rule);
}

IndexSearch::IndexSearch(const RuleIndex& index, const IpAddress& address, std::uint8_t protocol) {
    for (const auto& [key, rule] : index.exact) {
        if (key.protocol == protocol && from_abi(key.addr) == address) {
            exact_[ntohs(key.port_be)] = rule;
        }
    }
    if (const auto set = set_at(index, address)) {
        for (const auto& [key, rule] : index.port) {
            if (ntohl(key.set_be) == *set && key.protocol == protocol) {
                blocks_.push_back({key.prefixlen - 48, ntohs(key.port_be), rule});
            }
        }
    }
    std::sort(blocks_.begin(), blocks_.end(), [](const auto& a, const auto& b) { return a.length > b.length; });
}

RuleNumber IndexSearch::rule(std::uint16_t port) const {
    if (const auto exact = exact_.find(port); exact != exact_.end()) {
        return exact->second;
    }
    for (const auto& block : blocks_) {
        if ((port ^ block.port) >> (16 - block.length) == 0) {
            return block.rule;
        }
    }
    return std::nullopt;
}

std::map<RuleKey, std::uint32_t> random_claims(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    std::map<RuleKey, std::uint32_t> out;
    for (int tries = 0; out.size() < count && tries < 10'000; ++tries) {
        RuleKey key;
        key.prefix = random_prefix(random);
        key.protocol = random() % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP;
        key.first_port = random_port(random);
        key.last_port = random() % 4 == 0 ? key.first_port : std::max(key.first_port, random_port(random));
        if (std::none_of(out.begin(), out.end(), [&key](const auto& other) { return conflicts(key, other.first); })) {
            const auto number = static_cast<std::uint32_t>(out.size());
            out[key] = number;
        }
    }
    return out;
}

IpAddress random_address(std::mt19937& random) {
    auto out = *IpAddress::parse(random() % 2 == 0 ? "198.51.100.0" : "2001:db8:5::");
    out.bytes[15] = static_cast<std::uint8_t>(random() % 64);
    return out;
}

}  // namespace viscum
