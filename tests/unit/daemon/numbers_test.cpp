// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/numbers.h"

#include <doctest/doctest.h>

#include "controller/plan/aliases.h"

using namespace viscum;

TEST_CASE("numbers: a service keeps the one that it has") {
    CHECK(number_of({{"web", 17}}, "web") == 17);
}

TEST_CASE("numbers: two services never share one, whatever their names' hashes are") {
    std::map<std::string, std::uint32_t> taken;
    std::map<std::uint32_t, std::string> by_number;
    for (int i = 0; i < 4095; ++i) {
        const std::string name = "s" + std::to_string(i);
        const auto number = number_of(taken, name);
        REQUIRE(number);
        CHECK(*number < kNumbers - 1);
        CHECK(by_number.emplace(*number, name).second);
        taken[name] = *number;
    }
    CHECK_FALSE(number_of(taken, "one-too-many"));
}

TEST_CASE("numbers: a lost state gives mostly the same ones again") {
    CHECK(number_of({}, "web") == number_of({{"other", 4000}}, "web"));
}

TEST_CASE("numbers: user ids lie in a range of the instance's own, outside all others'") {
    for (const char* instance : {"viscum", "a", "edge2"}) {
        const uid_t first = service_uid(instance, 0);
        CHECK(first >= 0x70000000);
        CHECK(prober_uid(instance) == first + 4095);
        CHECK(prober_uid(instance) < 0x80000000);
    }
    CHECK(service_uid("viscum", 0) / 4096 != service_uid("edge2", 0) / 4096);
}
