// SPDX-License-Identifier: GPL-2.0-only
#include "base/text.h"

#include <doctest/doctest.h>

#include "base/ip.h"

using namespace viscum;
using namespace std::chrono_literals;

TEST_CASE("text: a decimal has digits only, no leading zero, and a bound") {
    CHECK(parse_decimal("0", 9) == 0U);
    CHECK(parse_decimal("65535", 65535) == 65535U);
    CHECK_FALSE(parse_decimal("65536", 65535));
    CHECK_FALSE(parse_decimal("08", 65535));
    CHECK_FALSE(parse_decimal("+8", 65535));
    CHECK_FALSE(parse_decimal("", 65535));
    CHECK(parse_decimal("18446744073709551615", UINT64_MAX) == UINT64_MAX);
    CHECK_FALSE(parse_decimal("18446744073709551616", UINT64_MAX));
}

TEST_CASE("text: a duration has a unit, and is written as it is read") {
    CHECK(parse_duration("200ms") == 200ms);
    CHECK(parse_duration("2s") == 2000ms);
    CHECK(parse_duration("5m") == 300s);
    CHECK_FALSE(parse_duration("2"));
    CHECK_FALSE(parse_duration("2 s"));
    CHECK_FALSE(parse_duration("1.5s"));
    CHECK_FALSE(parse_duration("99999999999h"));
    for (const auto duration : {0ms, 1ms, 1500ms, 2000ms, 60'000ms, 3'600'000ms}) {
        CHECK(parse_duration(format_duration(duration)) == duration);
    }
    CHECK(format_duration(60'000ms) == "1m");
}

TEST_CASE("text: nearest finds a word that is one or two edits away") {
    CHECK(nearest("adress", {"address", "port"}) == "address");
    CHECK(nearest("prot", {"address", "port"}) == "port");
    CHECK_FALSE(nearest("completely", {"address", "port"}));
}

TEST_CASE("ip: both families share one type, and text is strict") {
    const auto v4 = IpAddress::parse("203.0.113.10");
    REQUIRE(v4);
    CHECK(v4->is_v4());
    CHECK(v4->text() == "203.0.113.10");
    CHECK(IpAddress::parse("2001:db8::10")->text() == "2001:db8::10");
    CHECK_FALSE(IpAddress::parse("300.1.1.1"));
    CHECK_FALSE(IpAddress::parse("203.0.113.010"));
    CHECK_FALSE(IpAddress::parse("::ffff:203.0.113.10"));
    CHECK_FALSE(IpAddress::parse(std::string_view("203.0.113.1\0", 12)));
}

TEST_CASE("ip: a prefix has no bits behind its length") {
    CHECK(IpPrefix::parse("198.51.100.0/28")->text() == "198.51.100.0/28");
    CHECK(IpPrefix::parse("198.51.100.1")->is_single());
    CHECK_FALSE(IpPrefix::parse("198.51.100.1/28"));
    CHECK_FALSE(IpPrefix::parse("198.51.100.0/33"));
    CHECK_FALSE(IpPrefix::parse("198.51.100.0/"));
    CHECK(IpPrefix::parse("198.51.100.0/28")->contains(*IpAddress::parse("198.51.100.15")));
    CHECK_FALSE(IpPrefix::parse("198.51.100.0/28")->contains(*IpAddress::parse("198.51.100.16")));
    CHECK_FALSE(IpPrefix::parse("::/0")->contains(*IpAddress::parse("198.51.100.16")));
    CHECK(IpPrefix::around(*IpAddress::parse("198.51.100.77"), 28).text() == "198.51.100.64/28");
    CHECK(IpPrefix::around(*IpAddress::parse("2001:db8::77"), 32).text() == "2001:db8::/32");
    CHECK(IpPrefix::parse("0.0.0.0/0")->contains(*IpPrefix::parse("198.51.100.0/28")));
}

TEST_CASE("text: a size is told in the largest unit that says nearly all of it") {
    CHECK(format_size(0) == "0");
    CHECK(format_size(1023) == "1023");
    CHECK(format_size(64ULL << 20) == "64M");
    CHECK(format_size(2ULL << 30) == "2G");
    CHECK(format_size((1ULL << 30) + (1ULL << 29)) == "1536M");
    CHECK(format_size((11ULL << 30) + 5) == "11G");
    CHECK(format_size((4ULL << 10) + 1) == "4097");
}
