// SPDX-License-Identifier: GPL-2.0-only
// An entry of a link as the programs read it: byte orders and places.
#include "tcprog/link_table.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>

using namespace viscum;

namespace {

IpAddress address(const std::string& text) {
    return IpAddress::parse(text).value();
}

}  // namespace

TEST_CASE("link table: an entry holds each family's addresses where the programs look for them") {
    LinkEgress egress;
    egress.nsid = 7;
    egress.v6 = LinkAlias{address("2001:db8::1"), address("fd00::1")};
    egress.origins = {{address("203.0.113.9"), address("198.19.0.9")}};
    egress.mac = {2, 3, 4, 5, 6, 7};
    vs_link link = abi_link(egress);
    CHECK(link.nsid == 7);
    CHECK(link.flags == VS_LINK_V6);
    CHECK(link.origin_count == 1);
    CHECK(link.own[0].owned.word_be[2] == 0);
    CHECK(link.own[1].owned.word_be[0] == htonl(0x20010db8));
    CHECK(link.own[1].alias.word_be[0] == htonl(0xfd000000));
    CHECK(link.origins[0].owned.word_be[3] == htonl(0xcb007109));
    CHECK(link.origins[0].alias.word_be[3] == htonl(0xc6130009));
    CHECK(link.mac[5] == 7);
    egress.v4 = LinkAlias{address("203.0.113.10"), address("198.19.0.1")};
    egress.internet = true;
    egress.targets = {{IpPrefix::parse("192.0.2.0/24").value(), 53, 17}};
    link = abi_link(egress);
    CHECK(link.flags == (VS_LINK_V4 | VS_LINK_V6 | VS_LINK_INTERNET | VS_LINK_TARGETS));
    CHECK(link.own[0].owned.word_be[2] == htonl(0xffff));
    CHECK(link.own[0].alias.word_be[3] == htonl(0xc6130001));
}

TEST_CASE("link table: a target's key counts the bits before the address, and tells the families apart") {
    const auto v4 = target_key(5, {IpPrefix::parse("192.0.2.0/24").value(), 53, 17});
    CHECK(v4.prefixlen == 64 + 96 + 24);
    CHECK(v4.ifindex == 5);
    CHECK(v4.protocol == 17);
    CHECK(v4.family == 4);
    CHECK(v4.port_be == htons(53));
    CHECK(v4.addr.word_be[3] == htonl(0xc0000200));
    const auto v6 = target_key(5, {IpPrefix::parse("::/0").value(), 0, 6});
    CHECK(v6.prefixlen == 64);
    CHECK(v6.family == 6);
    CHECK(v6.port_be == 0);
}
