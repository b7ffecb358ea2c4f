// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/listening.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace viscum {
namespace {

Listening at(const char* address, std::uint16_t port, Protocol protocol = Protocol::tcp) {
    return {IpAddress::parse(address).value_or(IpAddress{}), port, protocol};
}

Claim claim(const char* prefix, std::uint16_t first, std::uint16_t last, Protocol protocol = Protocol::tcp) {
    return {IpPrefix::parse(prefix).value_or(IpPrefix{}), {first, last}, protocol};
}

std::string said(const std::vector<Claim>& claims, const std::vector<Listening>& listening) {
    return describe_missing(claims_without_listener(claims, listening), listening);
}

}  // namespace

TEST_CASE("listening: a claim has its listener at its address, or at any") {
    const std::vector<Claim> both = {claim("203.0.113.10", 80, 80), claim("2001:db8:c::10", 80, 80)};
    CHECK(said(both, {at("::", 80)}).empty());
    CHECK(said(both, {at("203.0.113.10", 80), at("2001:db8:c::10", 80)}).empty());
    CHECK(said(both, {at("0.0.0.0", 80)}) ==
          "no listener on [2001:db8:c::10]:80/tcp: it listens on 0.0.0.0:80/tcp only");
    CHECK(said({claim("198.51.100.0/28", 8000, 8100)}, {at("198.51.100.3", 8050)}).empty());
}

TEST_CASE("listening: another address, port or protocol is none, and the reason says what there is") {
    const std::vector<Claim> web = {claim("203.0.113.10", 80, 80)};
    CHECK(said(web, {}) == "no listener on 203.0.113.10:80/tcp: it listens on nothing");
    CHECK(said(web, {at("127.0.0.1", 80)}) ==
          "no listener on 203.0.113.10:80/tcp: it listens on 127.0.0.1:80/tcp only");
    CHECK(said(web, {at("203.0.113.11", 80), at("::", 8080)}) ==
          "no listener on 203.0.113.10:80/tcp: it listens on 203.0.113.11:80/tcp, [::]:8080/tcp only");
    CHECK(said(web, {at("::", 80, Protocol::udp)}) ==
          "no listener on 203.0.113.10:80/tcp: it listens on [::]:80/udp only");
}

TEST_CASE("listening: a socket on :: that is for IPv6 alone is none of IPv4, and is named so") {
    Listening socket = at("::", 80);
    socket.v6_only = true;
    CHECK(said({claim("2001:db8:c::10", 80, 80)}, {socket}).empty());
    CHECK(said({claim("203.0.113.10", 80, 80)}, {socket}) ==
          "no listener on 203.0.113.10:80/tcp: it listens on [::]:80/tcp (IPv6 alone) only");
}

TEST_CASE("listening: long lists are cut") {
    std::vector<Listening> many;
    for (std::uint16_t port = 1; port <= 9; ++port) {
        many.push_back(at("::", port));
    }
    const std::string text = said({claim("203.0.113.10", 80, 80)}, many);
    CHECK(text.ends_with("[::]:4/tcp and 5 more only"));
    many.resize(1);
    many[0].bound = true;
    CHECK(said({claim("203.0.113.10", 80, 80)}, many).ends_with("[::]:1/tcp (bound to a device) only"));
}

}  // namespace viscum
