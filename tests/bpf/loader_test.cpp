// SPDX-License-Identifier: GPL-2.0-only
// Programs and maps over restarts, upgrades and changed sizes.
#include "tcprog/loader.h"

#include <bpf/libbpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "tcprog/counters.h"
#include "tcprog/link_table.h"
#include "tests/bpf/pins.h"

using namespace viscum;

namespace {

constexpr std::size_t kPins = kMaps.size() + 3;  // maps and programs
constexpr DatapathSizes kSmall{.rules = 16, .flows = 64, .fragments = 16};
constexpr DatapathSizes kLarge{.rules = 64, .flows = 128, .fragments = 16};

/// A packet for every CPU.
void count_packet(const Datapath& datapath, std::uint32_t rule) {
    std::vector<vs_counters> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    for (auto& value : values) {
        value.packets_in = 1;
    }
    REQUIRE(bpf_map_update_elem(datapath.counters.get(), &rule, values.data(), BPF_ANY) == 0);
}

/// Whether a program works on the map that `fd` is.
bool uses(const BpfProgram& program, int fd) {
    std::array<__u32, 64> ids{};
    bpf_prog_info info{};
    info.nr_map_ids = ids.size();
    info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
    __u32 size = sizeof info;
    REQUIRE(bpf_obj_get_info_by_fd(program.fd.get(), &info, &size) == 0);
    return std::find(ids.begin(), ids.begin() + info.nr_map_ids, id_of_map(fd)) != ids.begin() + info.nr_map_ids;
}

void check_programs_use_maps(const Datapath& datapath) {
    for (const BpfProgram* program : {&datapath.service, &datapath.vs_return}) {
        CHECK(uses(*program, datapath.links.fd()));
        CHECK(uses(*program, datapath.link_counters.get()));
        CHECK(uses(*program, datapath.verdicts.get()));
    }
    CHECK(uses(datapath.service, datapath.egress.fd()));
    for (const BpfProgram* program : {&datapath.lan, &datapath.service}) {
        CHECK(uses(*program, datapath.config.fd()));
        CHECK(uses(*program, datapath.exact.fd()));
        CHECK(uses(*program, datapath.rules.fd()));
        CHECK(uses(*program, datapath.flows.fd()));
        CHECK(uses(*program, datapath.verdicts.get()));
        CHECK(uses(*program, datapath.counters.get()));
    }
}

std::vector<std::string> names_in(const std::string& dir) {
    auto names = list_directory(dir);
    REQUIRE(names);
    return *names;
}

}  // namespace

TEST_CASE("loader: what is pinned is adopted, not loaded anew") {
    const Pins pins;
    const auto first = pins.open();
    CHECK_FALSE(first->adopted);
    check_programs_use_maps(*first);
    const auto second = pins.open();
    CHECK(second->adopted);
    CHECK(second->lan.id == first->lan.id);
    CHECK(second->service.id == first->service.id);
    CHECK(second->vs_return.id == first->vs_return.id);
    CHECK(id_of_map(second->links.fd()) == id_of_map(first->links.fd()));
    CHECK(id_of_map(second->rules.fd()) == id_of_map(first->rules.fd()));
    CHECK(id_of_map(second->counters.get()) == id_of_map(first->counters.get()));
}

TEST_CASE("loader: each program is one function, as the JITs of ARM32 and MIPS32 want it") {
    const Pins pins;
    const auto datapath = pins.open();
    for (const BpfProgram* program : {&datapath->lan, &datapath->service, &datapath->vs_return}) {
        std::vector<bpf_insn> instructions(16'384);
        bpf_prog_info info{};
        info.xlated_prog_len = static_cast<__u32>(instructions.size() * sizeof(bpf_insn));
        info.xlated_prog_insns = reinterpret_cast<std::uintptr_t>(instructions.data());
        __u32 size = sizeof info;
        REQUIRE(bpf_obj_get_info_by_fd(program->fd.get(), &info, &size) == 0);
        REQUIRE(info.xlated_prog_len / sizeof(bpf_insn) > 100);
        REQUIRE(info.xlated_prog_len / sizeof(bpf_insn) < instructions.size());
        CHECK(std::none_of(instructions.begin(), instructions.end(), [](const bpf_insn& instruction) {
            return instruction.code == (BPF_JMP | BPF_CALL) && instruction.src_reg == BPF_PSEUDO_CALL;
        }));
    }
}

TEST_CASE("loader: the directory of pins is root's alone") {
    const Pins pins;
    const auto datapath = pins.open();
    struct stat info {};
    REQUIRE(stat(pins.dir.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
    REQUIRE(stat(cat(pins.dir, "/v", VS_ABI).c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
}

TEST_CASE("loader: pins of a newer table version are refused, and nothing is changed") {
    const Pins pins;
    const std::string newer = cat(pins.dir, "/v", VS_ABI + 1);
    REQUIRE(make_directory(newer, 0700));
    const auto datapath = open_datapath(pins.dir, kSmall);
    REQUIRE_FALSE(datapath);
    CHECK(datapath.error().errno_code == EPROTO);
    CHECK(datapath.error().what.find("newer viscumd") != std::string::npos);
    CHECK(datapath.error().what.find("--discard-newer") != std::string::npos);
    const auto removed = remove_pins(pins.dir);
    REQUIRE_FALSE(removed);
    CHECK(removed.error().errno_code == EPROTO);
    CHECK(names_in(pins.dir) == std::vector<std::string>{cat("v", VS_ABI + 1)});
    REQUIRE(remove_directory(newer));
}

TEST_CASE("loader: pins of a newer table version are discarded where that is asked for, and ours are made") {
    const Pins pins;
    const std::string newer = cat(pins.dir, "/v", VS_ABI + 1);
    REQUIRE(make_directory(newer, 0700));
    const UniqueFd rules(bpf_map_create(BPF_MAP_TYPE_ARRAY, "vs_rules", 4, 48, 16, nullptr));
    REQUIRE(bpf_obj_pin(rules.get(), cat(newer, "/vs_rules").c_str()) == 0);
    const auto datapath = open_datapath(pins.dir, kSmall, NewerTables::discard);
    REQUIRE(datapath);
    CHECK((*datapath)->carryover.discarded == std::vector<std::uint32_t>{VS_ABI + 1});
    CHECK(names_in(pins.dir) == std::vector<std::string>{cat("v", VS_ABI)});
    check_programs_use_maps(**datapath);
}

TEST_CASE("loader: rules, counters and flows survive a change of the sizes, and the programs see them") {
    const Pins pins;
    const auto rules = std::vector{some_rule("203.0.113.10", 80), some_rule("203.0.113.0/24", 1, 1000)};
    const vs_flow flow{1, 2, VS_CLOUD, 0, {}};
    {
        const auto datapath = pins.open(kSmall);
        auto table = RuleTable::adopt(*datapath);
        REQUIRE(table.apply(rules));
        count_packet(*datapath, *table.index_of(rules[0].key));
        REQUIRE(datapath->flows.set(vs_flow_key{}, flow));
    }
    const auto cpus = static_cast<std::uint64_t>(libbpf_num_possible_cpus());
    for (const auto& sizes : {kLarge, kSmall, kLarge}) {
        CAPTURE(sizes.rules);
        const auto datapath = pins.open(sizes);
        CHECK_FALSE(datapath->adopted);
        auto table = RuleTable::adopt(*datapath);
        CHECK(*table.apply(rules) == 0);
        CHECK(read_counters(*datapath, *table.index_of(rules[0].key))->packets_in == cpus);
        REQUIRE(datapath->flows.find(vs_flow_key{}));
        CHECK(datapath->flows.find(vs_flow_key{})->rule == flow.rule);
        check_programs_use_maps(*datapath);
        CHECK(pins.open(sizes)->adopted);
    }
}

TEST_CASE("loader: one changed size leaves the maps of the others as they are") {
    const Pins pins;
    const auto before = pins.open(kSmall);
    const auto after = pins.open({.rules = kSmall.rules, .flows = 1000, .fragments = kSmall.fragments});
    CHECK(id_of_map(after->rules.fd()) == id_of_map(before->rules.fd()));
    CHECK(id_of_map(after->exact.fd()) == id_of_map(before->exact.fd()));
    CHECK(id_of_map(after->flows.fd()) != id_of_map(before->flows.fd()));
    CHECK(after->lan.id != before->lan.id);
}

TEST_CASE("loader: a start that was killed half-way is completed by the next one") {
    const Pins pins;
    const auto first = pins.open();
    const std::string dir = cat(pins.dir, "/v", VS_ABI);
    for (const auto& name : names_in(dir)) {
        CAPTURE(name);
        REQUIRE(unlink(cat(dir, '/', name).c_str()) == 0);
        const auto again = pins.open();
        CHECK_FALSE(again->adopted);
        check_programs_use_maps(*again);
        CHECK(pins.open()->adopted);
        CHECK(names_in(dir).size() == kPins);
    }
}

TEST_CASE("loader: a pin that is no table of this version is refused by name") {
    const Pins pins;
    const std::string dir = cat(pins.dir, "/v", VS_ABI);
    REQUIRE(make_directory(dir, 0700));
    const UniqueFd foreign(bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 4, 1, nullptr));
    REQUIRE(bpf_obj_pin(foreign.get(), cat(dir, "/vs_rules").c_str()) == 0);
    const auto datapath = open_datapath(pins.dir, kSmall);
    REQUIRE_FALSE(datapath);
    CHECK(datapath.error().errno_code == EPROTO);
    CHECK(datapath.error().what.find("vs_rules") != std::string::npos);
    CHECK(names_in(dir) == std::vector<std::string>{"vs_rules"});
}

TEST_CASE("loader: programs of earlier sizes lose their pins") {
    const Pins pins;
    const auto older = pins.open(kSmall);
    const auto current = pins.open(kLarge);
    CHECK(names_in(cat(pins.dir, "/v", VS_ABI)).size() == kPins);
    CHECK(pins.open(kLarge)->adopted);
}

TEST_CASE("loader: what links may begin, and what they counted, survives a change of the sizes") {
    const Pins pins;
    const LinkEgress egress = [] {
        LinkEgress out;
        out.nsid = 3;
        out.internet = true;
        out.targets = {{IpPrefix::parse("192.0.2.0/24").value(), 53, IPPROTO_UDP}};
        return out;
    }();
    {
        const auto datapath = pins.open(kSmall);
        REQUIRE(LinkTable::adopt(*datapath).apply(9, egress));
        std::vector<vs_link_counters> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        values[0].out = 5;
        const __u32 link = 9;
        REQUIRE(bpf_map_update_elem(datapath->link_counters.get(), &link, values.data(), BPF_ANY) == 0);
    }
    const auto datapath = pins.open({.rules = 128, .flows = 1024, .fragments = 16});
    CHECK_FALSE(datapath->adopted);
    auto table = LinkTable::adopt(*datapath);
    CHECK(*table.apply(9, egress) == 0);
    CHECK(table.counters(9).out == 5);
}

TEST_CASE("loader: pins are removed, also twice and where there are none") {
    const Pins pins;
    const auto datapath = pins.open();
    CHECK(remove_pins(pins.dir));
    CHECK(access(pins.dir.c_str(), F_OK) != 0);
    CHECK(remove_pins(pins.dir));
}
