// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/suspects.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;

TEST_CASE("suspects: all, until everything was looked at once") {
    Suspects suspects;
    CHECK(suspects.all());
    suspects.clear();
    CHECK_FALSE(suspects.all());
    CHECK(suspects.few().empty());
}

TEST_CASE("suspects: those that news spoke of, each once") {
    Suspects suspects;
    suspects.clear();
    suspects.add({"web", 0});
    suspects.add({"web", 1});
    suspects.add({"web", 0});
    CHECK_FALSE(suspects.all());
    CHECK(suspects.few() == std::set<BackendKey>{{"web", 0}, {"web", 1}});
}

TEST_CASE("suspects: more than a few are all, as one list is cheaper than a request for each") {
    Suspects suspects;
    suspects.clear();
    for (std::size_t i = 0; i < Suspects::kFew; ++i) {
        suspects.add({cat("web-", i), 0});
    }
    CHECK_FALSE(suspects.all());
    suspects.add({"one-more", 0});
    CHECK(suspects.all());
    suspects.clear();
    CHECK_FALSE(suspects.all());
}

TEST_CASE("suspects: lost news are of all") {
    Suspects suspects;
    suspects.clear();
    suspects.add({"web", 0});
    suspects.add_all();
    CHECK(suspects.all());
}
