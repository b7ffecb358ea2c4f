// SPDX-License-Identifier: GPL-2.0-only
#include "controller/plan/aliases.h"

#include <doctest/doctest.h>

#include <set>

#include "base/text.h"

using namespace viscum;

namespace {

IpAddress address(const char* text) {
    return IpAddress::parse(text).value();
}

ServiceSpec cache() {
    ServiceSpec spec;
    spec.name = "cache";
    for (const char* text : {"203.0.113.10", "203.0.113.11", "2001:db8:c::10"}) {
        const IpAddress one = address(text);
        spec.intercept.push_back({{one, one.width()}, {80, 80}, Protocol::tcp});
    }
    spec.egress.origin = true;
    return spec;
}

}  // namespace

TEST_CASE("aliases: a service that may begin nothing has none") {
    ServiceSpec spec = cache();
    spec.egress = {};
    CHECK_FALSE(egress_of(spec, {}, 7, 0));
}

TEST_CASE("aliases: the first address of a family has the alias, and every one is an origin") {
    const auto egress = egress_of(cache(), {}, 7, 1);
    REQUIRE(egress);
    REQUIRE(egress->alias_v4);
    REQUIRE(egress->alias_v6);
    CHECK(egress->alias_v4->text() == "198.19.0.120");  // (7 * 2 + 1) * 8
    CHECK(egress->alias_v6->text() == "fd76:6973:6375:6d::78");
    REQUIRE(egress->origins.size() == 3);
    CHECK(egress->origins[0] == std::pair(address("203.0.113.10"), address("198.19.0.121")));
    CHECK(egress->origins[1] == std::pair(address("203.0.113.11"), address("198.19.0.122")));
    CHECK(egress->origins[2] == std::pair(address("2001:db8:c::10"), address("fd76:6973:6375:6d::79")));
}

TEST_CASE("aliases: no two slots of any two services share an address") {
    std::set<std::string> seen;
    std::size_t given = 0;
    const ServiceSpec spec = cache();
    for (const std::uint32_t number : {0U, 1U, 2U, 2047U, 4094U, 4095U}) {
        for (const int slot : {0, 1}) {
            const auto egress = egress_of(spec, {}, number, slot);
            for (const auto& [owned, alias] : egress->origins) {
                seen.insert(alias.text());
                ++given;
            }
            seen.insert(egress->alias_v4->text());
            seen.insert(egress->alias_v6->text());
            given += 2;
            CHECK(AliasRange{}.v4.contains(*egress->alias_v4));
            CHECK(AliasRange{}.v6.contains(*egress->alias_v6));
        }
    }
    CHECK(seen.size() == given);
}

TEST_CASE("aliases: the first origin of a family is called origin, and each has the names of its address") {
    ServiceSpec spec = cache();
    spec.names = {{"www.example", address("203.0.113.10")},
                  {"www.example", address("203.0.113.10")},
                  {"img.example", address("203.0.113.11")},
                  {"www.example", address("2001:db8:c::10")}};
    const auto lines = origin_names(spec, *egress_of(spec, {}, 0, 0));
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == std::pair(address("198.19.0.1"), std::string("origin www.example")));
    CHECK(lines[1] == std::pair(address("198.19.0.2"), std::string("img.example")));
    CHECK(lines[2].second == "origin www.example");
}
