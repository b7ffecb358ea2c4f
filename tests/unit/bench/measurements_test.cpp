// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/measure/measurements.h"

#include <doctest/doctest.h>

namespace viscum {
namespace {

constexpr auto kAtMost = Target::Bound::at_most;
constexpr auto kAtLeast = Target::Bound::at_least;

Measurements with(const std::vector<double>& ours, const std::vector<double>& theirs) {
    Measurements all("test", "how", Scale::full);
    for (const double value : ours) {
        all.add("viscum", "time", "ms", value);
    }
    for (const double value : theirs) {
        all.add("peer", "time", "ms", value);
    }
    return all;
}

}  // namespace

TEST_CASE("measure: the median of an odd number of values is the one in the middle, of an even number a mean of two") {
    const Spread odd = spread_of({5, 1, 9});
    CHECK(odd.median == 5);
    CHECK(odd.least == 1);
    CHECK(odd.most == 9);
    CHECK(spread_of({4, 1, 2, 9}).median == 3);
    CHECK(spread_of({7}).median == 7);
    CHECK(spread_of({}).median == 0);
}

TEST_CASE("measure: a percentile is one of the values, by nearest rank") {
    std::vector<double> values;
    for (int i = 100; i > 0; --i) {
        values.push_back(i);
    }
    CHECK(percentile(values, 0.5) == 50);
    CHECK(percentile(values, 0.99) == 99);
    CHECK(percentile(values, 1) == 100);
    CHECK(percentile(values, 0) == 1);
    CHECK(percentile({3, 1, 2}, 0.99) == 3);
    CHECK(percentile({3, 1, 2}, 0.5) == 2);
    CHECK(percentile({}, 0.5) == 0);
}

TEST_CASE("measure: numbers have three digits that say something, and thousands are apart") {
    CHECK(number_text(0) == "0");
    CHECK(number_text(0.0123) == "0.0123");
    CHECK(number_text(0.967) == "0.97");
    CHECK(number_text(3.14159) == "3.14");
    CHECK(number_text(31.24) == "31.2");
    CHECK(number_text(312.4) == "312");
    CHECK(number_text(1234.6) == "1,235");
    CHECK(number_text(1234567) == "1,234,567");
    CHECK(number_text(-123) == "-123");
    CHECK(number_text(-1234567) == "-1,234,567");
}

TEST_CASE("measure: a target is met at its bound, and missed beyond") {
    CHECK(Target{"", kAtMost, 5, "", 5}.met());
    CHECK_FALSE(Target{"", kAtMost, 5, "", 5.01}.met());
    CHECK(Target{"", kAtLeast, 5, "", 5}.met());
    CHECK_FALSE(Target{"", kAtLeast, 5, "", 4.99}.met());
}

TEST_CASE("measure: a target looks at the median of its subject's figure") {
    Measurements all = with({1, 2, 100}, {});
    all.expect(kAtMost, "viscum", "time", 5);
    REQUIRE(all.targets().size() == 1);
    CHECK(all.targets()[0].what == "time, viscum");
    CHECK(all.targets()[0].measured == 2);
    CHECK(all.targets()[0].unit == "ms");
    CHECK(all.targets()[0].met());
}

TEST_CASE("measure: a target looks at the number that it names") {
    Measurements all("test", "how", Scale::full);
    all.add("viscum", "time", "ms", 1, 10);
    all.add("viscum", "time", "ms", 8, 1'000);
    all.expect(kAtMost, "viscum", "time", 5, 1'000);
    REQUIRE(all.targets().size() == 1);
    CHECK(all.targets()[0].what == "time, viscum 1,000");
    CHECK(all.targets()[0].measured == 8);
    CHECK_FALSE(all.targets()[0].met());
}

TEST_CASE("measure: a ratio is that of each round, not that of the medians") {
    // The machine became slower from round to round, for both alike but in the last one.
    Measurements all = with({1, 10, 100}, {2, 20, 50});
    all.expect_ratio(kAtMost, "viscum", "peer", "time", 0.5);
    REQUIRE(all.targets().size() == 1);
    CHECK(all.targets()[0].what == "time, viscum to peer");
    CHECK(all.targets()[0].measured == 0.5);
    CHECK(all.targets()[0].unit == "x");
    CHECK(all.targets()[0].met());
    Measurements other = with({1, 30, 2}, {10, 10, 10});
    other.expect_ratio(kAtMost, "viscum", "peer", "time", 1);
    CHECK(other.targets()[0].measured == 0.2);
}

TEST_CASE("measure: a round without its counterpart, or one of 0, has no ratio") {
    Measurements all = with({1, 3, 7, 9}, {2, 0, 7});
    all.expect_ratio(kAtMost, "viscum", "peer", "time", 1);
    CHECK(all.targets()[0].measured == 0.75);
}

TEST_CASE("measure: without its peer a ratio is no target") {
    Measurements all = with({1}, {});
    all.expect_ratio(kAtMost, "viscum", "peer", "time", 1);
    CHECK(all.targets().empty());
}

TEST_CASE("measure: the same note is kept once") {
    Measurements all = with({1}, {});
    all.note("no peer");
    all.note("no peer");
    const std::string json = all.json();
    CHECK(json.find("no peer") != std::string::npos);
    CHECK(json.find("no peer") == json.rfind("no peer"));
}

}  // namespace viscum
