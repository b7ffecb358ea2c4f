// SPDX-License-Identifier: GPL-2.0-only
// What links may begin, in the kernel: equal to what is wanted, by differences only.
#include "tcprog/link_table.h"

#include <bpf/libbpf.h>

#include "base/text.h"
#include "tests/bpf/pins.h"

using namespace viscum;

namespace {

constexpr std::size_t kAll = 100'000;
constexpr DatapathSizes kSizes{.rules = 16, .flows = 64, .fragments = 16};  // Pins' own

LinkEgress some_egress(std::uint32_t nsid, std::size_t targets) {
    LinkEgress out;
    out.nsid = nsid;
    out.v4 = LinkAlias{IpAddress::parse("203.0.113.10").value(), IpAddress::parse("198.19.0.1").value()};
    for (std::size_t i = 0; i < targets; ++i) {
        out.targets.push_back({IpPrefix::parse(cat("192.0.2.", i)).value(), 53, IPPROTO_UDP});
    }
    return out;
}

struct Contents {
    explicit Contents(const Datapath& datapath)
        : links(datapath.links.entries(kAll).size()), targets(datapath.egress.entries(kAll).size()) {
        __u32 key = 0;
        for (bool any = bpf_map_get_next_key(datapath.link_counters.get(), nullptr, &key) == 0; any;
             any = bpf_map_get_next_key(datapath.link_counters.get(), &key, &key) == 0) {
            ++counters;
        }
    }
    bool operator==(const Contents&) const = default;

    std::size_t links;
    std::size_t targets;
    std::size_t counters = 0;
};

bool holds(const Datapath& datapath, std::size_t links, std::size_t targets, std::size_t counters) {
    const Contents contents(datapath);
    return contents.links == links && contents.targets == targets && contents.counters == counters;
}

void count_out(const Datapath& datapath, std::uint32_t link) {
    std::vector<vs_link_counters> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    for (auto& value : values) {
        value.out = 1;
        value.refused[VS_LINK_REASONS - 1] = 2;
    }
    REQUIRE(bpf_map_update_elem(datapath.link_counters.get(), &link, values.data(), BPF_ANY) == 0);
}

}  // namespace

TEST_CASE("link table: applied twice it writes nothing, and neither does the next viscumd") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = LinkTable::adopt(*datapath);
    const auto wanted = some_egress(3, 5);
    CHECK(*table.apply(7, wanted) == 7);  // counters, targets, the link
    CHECK(*table.apply(7, wanted) == 0);
    auto next = LinkTable::adopt(*datapath);
    CHECK(next.links() == std::vector<std::uint32_t>{7});
    CHECK(*next.apply(7, wanted) == 0);
    CHECK(holds(*datapath, 1, 5, 1));
    CHECK(*next.apply(7, std::nullopt) == 7);
    CHECK(*next.apply(7, std::nullopt) == 0);
    CHECK(next.links().empty());
    CHECK(holds(*datapath, 0, 0, 0));
}

TEST_CASE("link table: a change writes the difference, and targets of other links stay") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = LinkTable::adopt(*datapath);
    REQUIRE(table.apply(7, some_egress(3, 5)));
    REQUIRE(table.apply(8, some_egress(4, 5)));
    auto wanted = some_egress(3, 6);
    wanted.targets.erase(wanted.targets.begin());
    CHECK(*table.apply(7, wanted) == 2);
    wanted.internet = true;
    CHECK(*table.apply(7, wanted) == 1);
    wanted.targets.clear();
    CHECK(*table.apply(7, wanted) == 6);
    CHECK(holds(*datapath, 2, 5, 2));
    CHECK(datapath->links.find(7)->flags == (VS_LINK_V4 | VS_LINK_INTERNET));
    CHECK(datapath->egress.find(target_key(8, some_egress(4, 1).targets[0])));
}

TEST_CASE("link table: counters stay with a namespace and start anew with another one or a new entry") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = LinkTable::adopt(*datapath);
    const auto cpus = static_cast<std::uint64_t>(libbpf_num_possible_cpus());
    REQUIRE(table.apply(7, some_egress(3, 1)));
    count_out(*datapath, 7);
    REQUIRE(table.apply(7, some_egress(3, 2)));
    CHECK(table.counters(7).out == cpus);
    REQUIRE(table.counters(7).refused.size() == VS_LINK_REASONS);
    CHECK(table.counters(7).refused[0] == std::pair<std::string, std::uint64_t>("not-allowed", 0));
    CHECK(table.counters(7).refused[VS_LINK_REASONS - 1] == std::pair<std::string, std::uint64_t>("unasked", 2 * cpus));
    REQUIRE(table.apply(7, some_egress(4, 2)));
    CHECK(table.counters(7).out == 0);
    count_out(*datapath, 7);
    REQUIRE(table.apply(7, std::nullopt));
    CHECK(table.counters(7).out == 0);
    CHECK(table.counters(7).refused.size() == VS_LINK_REASONS);
    REQUIRE(table.apply(7, some_egress(4, 2)));
    CHECK(table.counters(7).out == 0);
}

TEST_CASE("link table: more links or targets than it holds are refused, and nothing is changed") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = LinkTable::adopt(*datapath);
    const auto links = link_capacity(kSizes);
    for (std::uint32_t link = 1; link <= links; ++link) {
        REQUIRE(table.apply(link, some_egress(link, 15)));
    }
    const Contents full(*datapath);
    auto refused = table.apply(links + 1, some_egress(99, 0));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().errno_code == ENOSPC);
    CHECK(refused.error().what.find("tables") != std::string::npos);
    refused = table.apply(1, some_egress(1, 64));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().errno_code == ENOSPC);
    CHECK(Contents(*datapath) == full);
    CHECK(table.links().size() == links);
    CHECK(*table.apply(1, some_egress(1, 15)) == 0);
    CHECK(*table.apply(1, some_egress(1, 31)) == 16);  // as many as there is room for
    REQUIRE(table.apply(2, std::nullopt));
    CHECK(table.apply(links + 1, some_egress(99, 15)));
}

TEST_CASE("link table: families that are mixed and too many targets are refused, and nothing is changed") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = LinkTable::adopt(*datapath);
    auto mixed = some_egress(3, 0);
    mixed.v4->alias = IpAddress::parse("fd00::1").value();
    CHECK(table.apply(7, mixed).error().errno_code == EINVAL);
    mixed = some_egress(3, 0);
    mixed.v6 = mixed.v4;
    CHECK(table.apply(7, mixed).error().errno_code == EINVAL);
    mixed = some_egress(3, 0);
    mixed.origins = {{IpAddress::parse("203.0.113.10").value(), IpAddress::parse("fd00::1").value()}};
    CHECK(table.apply(7, mixed).error().errno_code == EINVAL);
    CHECK(table.apply(7, some_egress(3, 65)).error().errno_code == EINVAL);
    CHECK(holds(*datapath, 0, 0, 0));
    CHECK(table.links().empty());
}

TEST_CASE("link table: an entry cannot be used before its targets are there, and what was left half-way is found") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = LinkTable::adopt(*datapath);
    REQUIRE(bpf_map_freeze(datapath->links.fd()) == 0);  // the last write fails
    const auto failed = table.apply(7, some_egress(3, 5));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().errno_code == EPERM);
    CHECK(holds(*datapath, 0, 5, 1));
    auto next = LinkTable::adopt(*datapath);
    CHECK(next.links() == std::vector<std::uint32_t>{7});
    CHECK(*next.apply(7, std::nullopt) == 6);
    CHECK(holds(*datapath, 0, 0, 0));
}

TEST_CASE("link table: a target that cannot be written makes no entry, and the next attempt goes on from there") {
    const Pins pins;
    const auto datapath = pins.open();
    auto table = LinkTable::adopt(*datapath);
    REQUIRE(bpf_map_freeze(datapath->egress.fd()) == 0);
    for (int attempt = 0; attempt < 40; ++attempt) {
        REQUIRE_FALSE(table.apply(7, some_egress(3, 2)));
    }
    CHECK(holds(*datapath, 0, 0, 1));
    CHECK(*table.apply(7, some_egress(3, 0)) == 1);
}
