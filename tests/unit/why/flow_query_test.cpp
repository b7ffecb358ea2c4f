// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/flow_query.h"

#include <doctest/doctest.h>

using namespace viscum;

TEST_CASE("why: a flow is written as it is shown") {
    const auto query = parse_flow("10.77.0.10", "203.0.113.10:443/tcp");
    REQUIRE(query);
    CHECK_FALSE(query->source_port);
    CHECK(query->port == 443);
    CHECK(query->source_text() == "10.77.0.10");
    CHECK(query->destination_text() == "203.0.113.10:443/tcp");
    const auto six = parse_flow("[2001:db8::10]:40000", "[2001:db8:c::10]:53/udp");
    REQUIRE(six);
    CHECK(six->source_port == 40000);
    CHECK(six->protocol == Protocol::udp);
    CHECK(six->source_text() == "[2001:db8::10]:40000");
    CHECK(six->destination_text() == "[2001:db8:c::10]:53/udp");
    CHECK(parse_flow("2001:db8::10", "[2001:db8:c::10]:80"));
    CHECK(parse_flow("10.77.0.10:40000", "203.0.113.10:443")->protocol == Protocol::tcp);
}

TEST_CASE("why: what is no flow is refused, by the part that is wrong") {
    const auto refusal = [](const char* source, const char* destination) {
        const auto query = parse_flow(source, destination);
        return query ? std::string("accepted") : query.error().what;
    };
    const auto names = [&](const char* source, const char* destination, const char* part) {
        return refusal(source, destination).find(part) != std::string::npos;
    };
    CHECK(names("", "203.0.113.10:443/tcp", "'' is no address"));
    CHECK(names("host", "203.0.113.10:443/tcp", "'host' is no address"));
    CHECK(names("10.77.0.10:", "203.0.113.10:443/tcp", "'' is no port"));
    CHECK(names("[2001:db8::23]40000", "[2001:db8::1]:443/tcp", "'[2001:db8::23]40000' is no address"));
    CHECK(names("[2001:db8::23]", "[2001:db8::1]443/tcp", "'[2001:db8::1]443' is no address"));
    CHECK(names("10.77.0.10:65536", "203.0.113.10:443/tcp", "'65536' is no port"));
    CHECK(names("10.77.0.10", "203.0.113.10", "has no port"));
    CHECK(names("10.77.0.10", "2001:db8::1/tcp", "has no port"));
    CHECK(names("10.77.0.10", "203.0.113.10:0/tcp", "'0' is no port"));
    CHECK(names("10.77.0.10", "203.0.113.10:443/", "'' is no protocol"));
    CHECK(names("10.77.0.10", "203.0.113.10:443/tcp/udp", "'tcp/udp' is no protocol"));
    CHECK(names("10.77.0.10", "[2001:db8::1]:443/tcp", "IPv6"));
    CHECK(names("fe80::1", "[2001:db8::1]:443/tcp", "'fe80::1' is no client's: it is link-local"));
    CHECK(names("febf::1", "[2001:db8::1]:443/tcp", "is link-local"));
    CHECK(names("ff02::1", "[2001:db8::1]:443/tcp", "is a multicast address"));
    CHECK(names("::", "[2001:db8::1]:443/tcp", "stands for no host"));
    CHECK(names("[::1]:40000", "[2001:db8::1]:443/tcp", "is a loopback address"));
    CHECK(names("0.0.0.0", "203.0.113.10:443", "stands for no host"));
    CHECK(names("127.0.0.1", "203.0.113.10:443", "is a loopback address"));
    CHECK(names("239.255.255.255", "203.0.113.10:443", "is a multicast address"));
    CHECK(names("255.255.255.255", "203.0.113.10:443", "stands for all hosts"));
    for (const char* client : {"169.254.1.2", "223.255.255.1", "240.0.0.1", "100.64.0.1"}) {
        CHECK(parse_flow(client, "203.0.113.10:443"));
    }
    for (const char* client : {"fec0::1", "fd00::1", "2001:db8::1"}) {
        CHECK(parse_flow(client, "[2001:db8::1]:443"));
    }
}
