// SPDX-License-Identifier: GPL-2.0-only
// The rules in the kernel: equal to what is wanted, by differences only.
#include "tcprog/rule_table.h"

#include <bpf/libbpf.h>

#include <cstring>
#include <set>

#include "base/text.h"
#include "tcprog/counters.h"
#include "tests/bpf/pins.h"

using namespace viscum;

namespace {

constexpr std::size_t kAll = 100'000;

/// Everything that stands in the maps, as a count of entries.
struct Contents {
    explicit Contents(const Datapath& datapath)
        : exact(datapath.exact.entries(kAll).size()),
          prefix(datapath.prefix.entries(kAll).size()),
          port(datapath.port.entries(kAll).size()) {
        for (const auto& [index, claim] : datapath.claims.entries(kAll)) {
            claims += claim.owner != 0 ? 1 : 0;
        }
        for (const auto& [index, rule] : datapath.rules.entries(kAll)) {
            rules += rule.backend[0].ifindex != 0 ? 1 : 0;
        }
    }
    bool operator==(const Contents&) const = default;

    std::size_t exact;
    std::size_t prefix;
    std::size_t port;
    std::size_t claims = 0;
    std::size_t rules = 0;
};

std::vector<Rule> rules_on(const std::string& network, int count) {
    std::vector<Rule> out;
    for (int i = 0; i < count; ++i) {
        out.push_back(some_rule(cat(network, i), 80));
    }
    return out;
}

void count_flow(const Datapath& datapath, std::uint32_t rule) {
    std::vector<vs_counters> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    values[0].flows = 1;
    REQUIRE(bpf_map_update_elem(datapath.counters.get(), &rule, values.data(), BPF_ANY) == 0);
}

}  // namespace

TEST_CASE("rule table: applied twice it writes nothing, and neither does the next viscumd") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    const std::vector<Rule> rules{some_rule("203.0.113.10", 80), some_rule("203.0.113.0/24", 1, 1000),
                                  some_rule("2001:db8:5::/48", 0, 65535)};
    CHECK(*table.apply(rules) > 0);
    CHECK(*table.apply(rules) == 0);
    auto next = RuleTable::adopt(*datapath);
    CHECK(*next.apply(rules) == 0);
    for (const auto& rule : rules) {
        REQUIRE(next.index_of(rule.key));
        CHECK(next.index_of(rule.key) == table.index_of(rule.key));
    }
    CHECK(*next.apply({}) > 0);
    CHECK(Contents(*datapath) == Contents(*pins.open()));
    CHECK(Contents(*datapath).claims == 0);
    CHECK(Contents(*datapath).rules == 0);
    CHECK(Contents(*datapath).exact + Contents(*datapath).prefix + Contents(*datapath).port == 0);
    CHECK(*next.apply({}) == 0);
}

TEST_CASE("rule table: the filter follows the claims, and is written again where it was lost") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    const auto present = [&] { return *datapath->filter.find(0); };
    const auto same = [](const vs_filter& a, const vs_filter& b) { return std::memcmp(&a, &b, sizeof a) == 0; };
    CHECK(present().families == 0);
    REQUIRE(*table.apply({some_rule("203.0.113.10", 80)}) > 0);
    const vs_filter one = present();
    CHECK(one.families == (VS_FILTER_V4 | VS_FILTER_V6));
    REQUIRE(*table.apply({some_rule("203.0.113.10", 80), some_rule("203.0.113.0/24", 80)}) > 0);
    CHECK(present().families == VS_FILTER_V6);
    REQUIRE(*table.apply({some_rule("203.0.113.10", 80)}) > 0);
    CHECK(same(present(), one));
    // As after an upgrade from tables that had none.
    REQUIRE(datapath->filter.set(0, {}));
    auto next = RuleTable::adopt(*datapath);
    CHECK(*next.apply({some_rule("203.0.113.10", 80)}) > 0);
    CHECK(same(present(), one));
}

TEST_CASE("rule table: a rule keeps its index and counters, and a claim that changes hands gets new ones") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    auto rule = some_rule("203.0.113.10", 80);
    REQUIRE(table.apply({rule}));
    const auto index = *table.index_of(rule.key);
    count_flow(*datapath, index);
    rule.admission = Admission::drain;
    CHECK(*table.apply({some_rule("203.0.113.9", 80), rule, some_rule("203.0.113.11", 80)}) > 0);
    CHECK(table.index_of(rule.key) == index);
    CHECK(read_counters(*datapath, index)->flows == 1);
    rule.service = "other";
    REQUIRE(table.apply({rule}));
    CHECK(table.index_of(rule.key) == index);
    CHECK(read_counters(*datapath, index)->flows == 0);
    count_flow(*datapath, index);
    REQUIRE(table.apply({}));
    REQUIRE(table.apply({rule}));
    CHECK(read_counters(*datapath, *table.index_of(rule.key))->flows == 0);
}

TEST_CASE("rule table: more rules than it holds are refused, and nothing is changed") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    REQUIRE(table.apply(rules_on("203.0.113.", 10)));
    const Contents before(*datapath);
    const auto result = table.apply(rules_on("203.0.113.", 17));
    REQUIRE_FALSE(result);
    CHECK(result.error().errno_code == ENOSPC);
    CHECK(Contents(*datapath) == before);
    CHECK(*table.apply(rules_on("203.0.113.", 10)) == 0);
    CHECK(*table.apply(rules_on("203.0.113.", 16)) > 0);
}

TEST_CASE("rule table: port ranges that do not fit are refused, and nothing is changed") {
    const Pins pins;
    const auto datapath = pins.open({.rules = 64, .flows = 64, .fragments = 16});
    auto table = RuleTable::adopt(*datapath);
    REQUIRE(table.apply(rules_on("203.0.113.", 10)));
    const Contents before(*datapath);
    std::vector<Rule> nested;
    for (int i = 0; i < 32; ++i) {
        const auto first = static_cast<std::uint16_t>(1 + i * 1000);
        nested.push_back(some_rule("198.51.100.0/24", first, static_cast<std::uint16_t>(first + 998)));
        nested.push_back(some_rule(cat("198.51.100.", i), 40'000, 65'535));
    }
    const auto result = table.apply(nested);
    REQUIRE_FALSE(result);
    CHECK(result.error().errno_code == ENOSPC);
    CHECK(Contents(*datapath) == before);
    CHECK(*table.apply(rules_on("203.0.113.", 10)) == 0);
}

TEST_CASE("rule table: a full table exchanges its rules") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    REQUIRE(table.apply(rules_on("203.0.113.", 16)));
    auto mixed = rules_on("198.51.100.", 13);
    const auto old = rules_on("203.0.113.", 3);
    mixed.insert(mixed.end(), old.begin(), old.end());
    const auto kept = table.index_of(old[1].key);
    REQUIRE(table.apply(mixed));
    CHECK(table.index_of(old[1].key) == kept);
    CHECK(Contents(*datapath).exact == 16);
    CHECK(Contents(*datapath).claims == 16);
    CHECK(*table.apply(mixed) == 0);
    std::set<std::uint32_t> indexes;
    for (const auto& rule : mixed) {
        indexes.insert(*table.index_of(rule.key));
    }
    CHECK(indexes.size() == 16);
}

TEST_CASE("rule table: a write that fails costs no index, however often it is tried again") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    REQUIRE(table.apply(rules_on("203.0.113.", 2)));
    REQUIRE(bpf_map_freeze(datapath->port.fd()) == 0);
    auto wanted = rules_on("203.0.113.", 3);
    wanted.push_back(some_rule("198.51.100.0/24", 1, 1000));
    for (int attempt = 0; attempt < 40; ++attempt) {
        const auto result = table.apply(wanted);
        REQUIRE_FALSE(result);
        REQUIRE(result.error().errno_code == EPERM);
    }
    CHECK(Contents(*datapath).claims == 4);
    wanted.pop_back();
    REQUIRE(table.apply(wanted));
    CHECK(Contents(*datapath).claims == 3);
    CHECK(Contents(*datapath).exact == 3);
    CHECK(*table.apply(wanted) == 0);
}

TEST_CASE("rule table: entries of an attempt that failed do not outlive what was wanted") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    REQUIRE(bpf_map_freeze(datapath->exact.fd()) == 0);
    REQUIRE_FALSE(table.apply({some_rule("198.51.100.0/24", 1, 1000), some_rule("203.0.113.10", 80)}));
    REQUIRE(Contents(*datapath).prefix == 1);
    REQUIRE(table.apply({}));
    CHECK(Contents(*datapath) == Contents(*pins.open()));
    CHECK(Contents(*datapath).prefix == 0);
    CHECK(Contents(*datapath).port == 0);
    CHECK(Contents(*datapath).claims == 0);
}

TEST_CASE("rule table: the lease and a port's bridge are written where they differ, and adopted") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = RuleTable::adopt(*datapath);
    CHECK(datapath->config.find(0)->lease_until == 0);
    REQUIRE(table.set_lease(std::nullopt));
    CHECK(datapath->config.find(0)->lease_until == ~0ULL);
    REQUIRE(table.set_lease(BootTime(77)));
    REQUIRE(table.apply({some_rule("198.51.100.0/24", 1, 1000)}));
    CHECK(datapath->config.find(0)->lease_until == 77);
    CHECK(datapath->config.find(0)->flags == VS_WIDE_V4);
    auto next = RuleTable::adopt(*datapath);
    REQUIRE(next.apply({}));
    CHECK(datapath->config.find(0)->lease_until == 77);
    CHECK(datapath->config.find(0)->flags == 0);
    const std::array<std::uint8_t, 6> mac{2, 0, 0, 0, 0, 1};
    CHECK(*next.set_lan_device(5, mac) == 1);
    CHECK(*RuleTable::adopt(*datapath).set_lan_device(5, mac) == 0);
}
