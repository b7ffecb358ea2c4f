// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/rule_index.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cstring>
#include <optional>
#include <random>
#include <string>

#include "base/text.h"
#include "tests/unit/tcprog/claims_model.h"

using namespace viscum;

namespace {

using Claims = std::map<RuleKey, std::uint32_t>;

RuleKey claim(const std::string& prefix, std::uint16_t first, std::uint16_t last, std::uint8_t protocol = IPPROTO_TCP) {
    return {IpPrefix::parse(prefix).value(), first, last, protocol};
}

IpAddress address(const std::string& text) {
    return IpAddress::parse(text).value();
}

template <class T>
std::string wire(const T& value) {
    std::string out;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    for (std::size_t i = 0; i < sizeof value; ++i) {
        out += hex(bytes[i], 2);
    }
    return out;
}

/// The length as a number, then the rest as bytes.
template <class K>
std::string trie_key(const K& key) {
    return cat(key.prefixlen, ' ', wire(key).substr(8));
}

template <class K>
std::string text(const Entries<K>& entries) {
    std::string out;
    for (const auto& [key, value] : entries) {
        out += cat(trie_key(key), " -> ", value, '\n');
    }
    return out;
}

std::optional<std::uint32_t> ask(const RuleIndex& index, const std::string& to, std::uint16_t port,
                                 std::uint8_t protocol = IPPROTO_TCP) {
    return look_up(index, address(to), port, protocol);
}

bool lets_through(const vs_filter& filter, const std::string& to) {
    const bool v4 = address(to).is_v4();
    if ((filter.families & (v4 ? VS_FILTER_V4 : VS_FILTER_V6)) == 0) {
        return true;
    }
    const vs_addr asked = abi_address(address(to));
    const std::uint32_t bit = vs_filter_bit(&asked);
    return ((filter.bits[bit / 64] >> (bit % 64)) & 1) != 0;
}

/// Of the addresses around: the network's second 65,536, say.
int let_through(const vs_filter& filter, const std::string& network) {
    int count = 0;
    for (int i = 0; i < 65'536; ++i) {
        count += lets_through(filter, cat(network, i / 256, '.', i % 256)) ? 1 : 0;
    }
    return count;
}

}  // namespace

TEST_CASE("rule index: an exact key is the address, port and protocol as they are on the wire") {
    CHECK(wire(exact_key(address("203.0.113.10"), 443, IPPROTO_TCP)) == "00000000000000000000ffffcb00710a01bb0600");
    CHECK(wire(exact_key(address("2001:db8::10"), 53, IPPROTO_UDP)) == "20010db800000000000000000000001000351100");
    CHECK(from_abi(abi_address(address("203.0.113.10"))) == address("203.0.113.10"));
    CHECK(from_abi(abi_address(address("2001:db8::10"))) == address("2001:db8::10"));
}

TEST_CASE("rule index: trie keys count leading bits, and hold set, address and port in network byte order") {
    const auto v4 = build_index({{claim("198.51.100.0/28", 8000, 8000), 7}}, 100);
    REQUIRE(v4.prefix.size() == 1);
    CHECK(trie_key(v4.prefix.begin()->first) == "124 00000000000000000000ffffc6336400");
    REQUIRE(v4.port.size() == 1);
    const std::string set = hex(v4.prefix.begin()->second, 8);
    CHECK(trie_key(v4.port.begin()->first) == cat("64 ", set, "06001f40"));
    CHECK(v4.port.begin()->second == 7);
    CHECK(v4.flags == VS_WIDE_V4);

    const auto v6 = build_index({{claim("2001:db8::/32", 0, 65535, IPPROTO_UDP), 7}}, 100);
    REQUIRE(v6.prefix.size() == 1);
    CHECK(trie_key(v6.prefix.begin()->first) == "32 20010db8000000000000000000000000");
    REQUIRE(v6.port.size() == 1);
    CHECK(trie_key(v6.port.begin()->first) == cat("48 ", hex(v6.prefix.begin()->second, 8), "11000000"));
    CHECK(v6.flags == VS_WIDE_V6);
}

TEST_CASE("rule index: single addresses with single ports cost one look-up, and no trie") {
    const auto index = build_index({{claim("203.0.113.10", 80, 80), 1}, {claim("2001:db8::10", 80, 80), 2}}, 100);
    CHECK(index.exact.size() == 2);
    CHECK(index.prefix.empty());
    CHECK(index.port.empty());
    CHECK(index.flags == 0);
    CHECK(ask(index, "203.0.113.10", 80) == 1U);
    CHECK(ask(index, "2001:db8::10", 80) == 2U);
    CHECK_FALSE(ask(index, "203.0.113.10", 81));
    CHECK_FALSE(ask(index, "203.0.113.10", 80, IPPROTO_UDP));
}

TEST_CASE("rule index: the filter lets claimed addresses through, and few others") {
    Claims claims{{claim("203.0.113.10", 80, 80), 1},
                  {claim("203.0.113.10", 1000, 2000), 2},
                  {claim("2001:db8:c::10", 53, 53, IPPROTO_UDP), 3}};
    auto filter = build_index(claims, 100).filter;
    CHECK(lets_through(filter, "203.0.113.10"));
    CHECK(lets_through(filter, "2001:db8:c::10"));
    CHECK_FALSE(lets_through(filter, "203.0.113.11"));
    CHECK_FALSE(lets_through(filter, "2001:db8:c::11"));
    CHECK(let_through(filter, "198.18.") <= 8);  // 2 of 32,768 bits are set
    CHECK(let_through(build_index({}, 100).filter, "198.18.") == 0);
    for (std::uint32_t i = 0; i < 256; ++i) {
        claims[claim(cat("203.0.", i, ".7"), 443, 443)] = 10 + i;
    }
    filter = build_index(claims, 100).filter;
    for (const auto& [key, rule] : claims) {
        CHECK(lets_through(filter, key.prefix.address.text()));
    }
    CHECK(let_through(filter, "198.18.") <= 1'024);  // 1 of 128, and as many again for the hash's unevenness
}

TEST_CASE("rule index: a claimed prefix opens the filter for its family, and for it alone") {
    const auto v4 = build_index({{claim("198.51.100.0/24", 80, 80), 1}, {claim("2001:db8::1", 80, 80), 2}}, 100).filter;
    CHECK(v4.families == VS_FILTER_V6);
    CHECK(lets_through(v4, "192.0.2.1"));
    CHECK_FALSE(lets_through(v4, "2001:db8::2"));
    CHECK(build_index({{claim("::/0", 80, 80), 1}}, 100).filter.families == VS_FILTER_V4);
    CHECK(lets_through({}, "192.0.2.1"));  // nothing was ever written
}

TEST_CASE("rule index: the longer prefix wins, and shorter ones fill its holes") {
    const auto index = build_index({{claim("203.0.113.0/24", 0, 65535), 1},
                                    {claim("203.0.113.0/28", 1000, 2000), 2},
                                    {claim("203.0.113.10", 1500, 1600), 3},
                                    {claim("203.0.113.10", 80, 80), 4},
                                    {claim("203.0.113.11", 80, 80), 5}},
                                   1000);
    CHECK(ask(index, "203.0.113.10", 80) == 4U);
    CHECK(ask(index, "203.0.113.10", 1500) == 3U);
    CHECK(ask(index, "203.0.113.10", 1600) == 3U);
    CHECK(ask(index, "203.0.113.10", 1499) == 2U);
    CHECK(ask(index, "203.0.113.10", 1601) == 2U);
    CHECK(ask(index, "203.0.113.10", 999) == 1U);
    CHECK(ask(index, "203.0.113.10", 2001) == 1U);
    CHECK(ask(index, "203.0.113.11", 80) == 5U);
    CHECK(ask(index, "203.0.113.11", 81) == 1U);
    CHECK(ask(index, "203.0.113.11", 1500) == 2U);
    CHECK(ask(index, "203.0.113.16", 1500) == 1U);
    CHECK_FALSE(ask(index, "203.0.114.10", 80));
    CHECK_FALSE(ask(index, "203.0.113.10", 1500, IPPROTO_UDP));
}

TEST_CASE("rule index: no claim of one family reaches the other") {
    const auto all_v6 = claim("::/0", 0, 65535);
    const auto some_v4 = claim("198.51.100.0/24", 80, 90);
    const auto index = build_index({{all_v6, 1}, {some_v4, 2}}, 1000);
    CHECK(ask(index, "2001:db8::1", 80) == 1U);
    CHECK(ask(index, "198.51.100.1", 80) == 2U);
    CHECK_FALSE(ask(index, "198.51.100.1", 91));
    CHECK_FALSE(ask(index, "203.0.113.1", 80));
    const auto both = build_index({{all_v6, 1}, {claim("0.0.0.0/0", 80, 80), 2}}, 1000);
    CHECK(ask(both, "203.0.113.1", 80) == 2U);
    CHECK_FALSE(ask(both, "203.0.113.1", 81));
    CHECK(ask(both, "2001:db8::1", 81) == 1U);
}

TEST_CASE("rule index: any range of ports is at most 30 entries that cover it exactly") {
    std::mt19937 random(86);
    std::uniform_int_distribution<int> port(0, 65535);
    for (int round = 0; round < 200; ++round) {
        const int a = round == 0 ? 1 : port(random);
        const int b = round == 0 ? 65534 : port(random);
        const auto first = static_cast<std::uint16_t>(std::min(a, b));
        const auto last = static_cast<std::uint16_t>(std::max(a, b));
        const auto index = build_index({{claim("198.51.100.0/24", first, last), 1}}, 1000);
        CAPTURE(first);
        CAPTURE(last);
        REQUIRE(index.port.size() <= 30);
        const auto coverage = entries_by_port(index.port, index.prefix.begin()->second, IPPROTO_TCP);
        int wrong = 0;
        for (int i = 0; i <= 65535; ++i) {
            wrong += coverage[static_cast<std::size_t>(i)] == (i >= first && i <= last ? 1 : 0) ? 0 : 1;
        }
        REQUIRE(wrong == 0);
    }
}

TEST_CASE("rule index: random nested claims decide as a plain search does, for every port") {
    for (const unsigned seed : {1U, 2U, 3U, 4U}) {
        const auto claims = random_claims(seed, 60);
        const auto index = build_index(claims, 100'000);
        std::mt19937 random(seed);
        int different = 0;
        for (int probe = 0; probe < 8; ++probe) {
            const auto to = random_address(random);
            for (const std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
                const PlainSearch plain(claims, to, protocol);
                const IndexSearch indexed(index, to, protocol);
                for (int port = 0; port <= 65535; ++port) {
                    const auto number = static_cast<std::uint16_t>(port);
                    different += plain.rule(number) == indexed.rule(number) ? 0 : 1;
                }
            }
        }
        CAPTURE(seed);
        CHECK(different == 0);
    }
}

TEST_CASE("rule index: the same claims make the same entries, and a change leaves those of other sets as they are") {
    auto claims = random_claims(7, 60);
    const auto before = build_index(claims, 100'000);
    const auto again = build_index(claims, 100'000);
    CHECK(text(again.port) == text(before.port));
    CHECK(text(again.prefix) == text(before.prefix));
    claims[claim("192.0.2.0/24", 5, 6)] = 99;
    const auto after = build_index(claims, 100'000);
    for (const auto& [key, rule] : before.port) {
        REQUIRE(after.port.contains(key));
        REQUIRE(after.port.at(key) == rule);
    }
    for (const auto& [key, set] : before.prefix) {
        REQUIRE(after.prefix.at(key) == set);
    }
}

TEST_CASE("rule index: ten thousand claims are no burden, whatever they are") {
    Claims prefixes;
    Claims ports;
    Claims nested;
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        const auto port = static_cast<std::uint16_t>(i);
        prefixes[claim(cat("198.", 18 + i / 4096, '.', i / 16 % 256, '.', i % 16 * 16, "/28"), 80, 90)] = i;
        ports[claim("2001:db8::/64", port, port)] = i;
        nested[claim(cat("198.18.", i / 256, '.', i % 256), 0, 65535)] = i;
    }
    nested[claim("198.18.0.0/15", 0, 65535, IPPROTO_UDP)] = 10'000;
    CHECK(build_index(prefixes, 1'000'000).prefix.size() == 10'000);
    CHECK(build_index(ports, 1'000'000).port.size() == 10'000);
    CHECK(build_index(nested, 1'000'000).port.size() == 20'001);
}

TEST_CASE("rule index: nesting that needs entries without end is given up once they are too many") {
    Claims claims;
    for (std::uint32_t i = 0; i < 1'000; ++i) {
        const auto port = static_cast<std::uint16_t>(i * 3);
        claims[claim("198.18.0.0/15", port, static_cast<std::uint16_t>(port + 1))] = i;
        claims[claim(cat("198.18.", i / 256, '.', i % 256), 10'000, 65535)] = 1'000 + i;
    }
    const auto size = build_index(claims, 10'000).port.size();
    CHECK(size > 10'000);
    CHECK(size < 20'000);
}
