// SPDX-License-Identifier: GPL-2.0-only
// Tables of an older layout, carried over map by map.
#include "tcprog/migrate.h"

#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "tcprog/attach.h"
#include "tcprog/counters.h"
#include "tcprog/pins.h"
#include "tests/bpf/pins.h"
#include "tests/support/program.h"

using namespace viscum;

namespace {

constexpr std::uint32_t kOlder = VS_ABI - 1;
constexpr std::size_t kAppended = 8;  // bytes that the older layout's values lack, where they are long enough
constexpr std::uint32_t kEntries = 5;

std::size_t cpus() {
    return static_cast<std::size_t>(libbpf_num_possible_cpus());
}

bpf_map_info info_of(int fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    REQUIRE(bpf_obj_get_info_by_fd(fd, &info, &size) == 0);
    return info;
}

bool per_cpu(const bpf_map_info& info) {
    return info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_HASH;
}

std::size_t stride(const bpf_map_info& info) {
    return per_cpu(info) ? (info.value_size + 7U) & ~7U : info.value_size;
}

std::size_t copies(const bpf_map_info& info) {
    return per_cpu(info) ? cpus() : 1;
}

/// Entry `number` of any map: keys differ in their last byte, and in tries all bits count.
std::vector<char> key_of(const bpf_map_info& info, std::uint32_t number) {
    std::vector<char> key(info.key_size);
    if (info.type == BPF_MAP_TYPE_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_ARRAY) {
        std::memcpy(key.data(), &number, sizeof number);
        return key;
    }
    key.back() = static_cast<char>(number + 1);
    if (info.type == BPF_MAP_TYPE_LPM_TRIE) {
        const auto bits = static_cast<std::uint32_t>((info.key_size - sizeof(std::uint32_t)) * 8);
        std::memcpy(key.data(), &bits, sizeof bits);
    }
    return key;
}

/// Bytes that tell the entry, the CPU and their place.
std::vector<char> value_of(const bpf_map_info& info, std::uint32_t number) {
    std::vector<char> value(stride(info) * copies(info));
    for (std::size_t copy = 0; copy < copies(info); ++copy) {
        for (std::size_t at = 0; at < info.value_size; ++at) {
            value[copy * stride(info) + at] = static_cast<char>(1 + number + 3 * copy + at % 7);
        }
    }
    return value;
}

std::string pin_of(const Pins& pins, std::uint32_t version, const char* name) {
    return cat(version_dir(pins.dir, version), '/', name);
}

/// A map like `now` with a value that is `shorter` bytes shorter.
UniqueFd like(const bpf_map_info& now, const char* name, std::size_t shorter, std::uint32_t entries) {
    bpf_map_create_opts options{};
    options.sz = sizeof options;
    options.map_flags = now.map_flags;
    const auto value = static_cast<__u32>(now.value_size - shorter);
    UniqueFd map(bpf_map_create(static_cast<bpf_map_type>(now.type), name, now.key_size, value, entries, &options));
    REQUIRE(map);
    return map;
}

/// What an older viscumd left: every map, with shorter values where they can be, and `kEntries` entries or one.
struct Older {
    explicit Older(const Pins& pins, std::size_t shorter = kAppended) {
        std::vector<bpf_map_info> infos;
        {
            const auto datapath = pins.open();
            for (const auto& map : kMaps) {
                infos.push_back(info_of(pinned(pin_of(pins, VS_ABI, map.name)).get()));
            }
        }
        REQUIRE(remove_pins(pins.dir));
        REQUIRE(make_directory(version_dir(pins.dir, kOlder), 0700));
        for (std::size_t i = 0; i < kMaps.size(); ++i) {
            const std::size_t less = infos[i].value_size > shorter ? shorter : 0;
            maps.push_back(like(infos[i], kMaps[i].name, less, infos[i].max_entries));
            REQUIRE(bpf_obj_pin(maps.back().get(), pin_of(pins, kOlder, kMaps[i].name).c_str()) == 0);
            fill(i);
        }
    }
    void fill(std::size_t i) {
        const auto info = info_of(maps[i].get());
        for (std::uint32_t number = 0; number < std::min(kEntries, info.max_entries); ++number) {
            const auto key = key_of(info, number);
            const auto value = value_of(info, number);
            REQUIRE(bpf_map_update_elem(maps[i].get(), key.data(), value.data(), BPF_ANY) == 0);
        }
    }
    std::vector<UniqueFd> maps;  // as kMaps
};

/// Every entry of the older map is in ours, and what was appended is zero.
void check_carried(const UniqueFd& before, const UniqueFd& now) {
    const auto from = info_of(before.get());
    const auto to = info_of(now.get());
    for (std::uint32_t number = 0; number < std::min(kEntries, from.max_entries); ++number) {
        CAPTURE(number);
        const auto key = key_of(from, number);
        const auto expected = value_of(from, number);
        std::vector<char> value(stride(to) * copies(to), 'x');
        REQUIRE(bpf_map_lookup_elem(now.get(), key.data(), value.data()) == 0);
        for (std::size_t copy = 0; copy < copies(to); ++copy) {
            const char* const start = value.data() + copy * stride(to);
            CHECK(std::memcmp(start, expected.data() + copy * stride(from), from.value_size) == 0);
            CHECK(std::all_of(start + from.value_size, start + to.value_size, [](char byte) { return byte == 0; }));
        }
    }
}

}  // namespace

TEST_CASE("migrate: maps of every kind are carried into values that were appended to") {
    const Pins pins;
    const Older older(pins);
    const auto datapath = pins.open();
    CHECK_FALSE(datapath->adopted);
    CHECK(datapath->carryover.older == std::vector<std::uint32_t>{kOlder});
    CHECK(datapath->carryover.lost.empty());
    for (std::size_t i = 0; i < kMaps.size(); ++i) {
        CAPTURE(std::string(kMaps[i].name));
        check_carried(older.maps[i], pinned(pin_of(pins, VS_ABI, kMaps[i].name)));
    }
}

TEST_CASE("migrate: maps of the same layout are taken over themselves") {
    const Pins pins;
    const Older older(pins, 0);
    const auto datapath = pins.open();
    for (std::size_t i = 0; i < kMaps.size(); ++i) {
        CAPTURE(std::string(kMaps[i].name));
        const UniqueFd now = pinned(pin_of(pins, VS_ABI, kMaps[i].name));
        CHECK(info_of(now.get()).id == info_of(older.maps[i].get()).id);
    }
}

TEST_CASE("migrate: with other sizes as well, all that fits is carried") {
    const Pins pins;
    const Older older(pins);
    const auto datapath = pins.open({.rules = 64, .flows = 256, .fragments = 64});
    for (std::size_t i = 0; i < kMaps.size(); ++i) {
        CAPTURE(std::string(kMaps[i].name));
        check_carried(older.maps[i], pinned(pin_of(pins, VS_ABI, kMaps[i].name)));
    }
}

TEST_CASE("migrate: a map with another key, kind or a shorter value is told and begins empty") {
    const Pins pins;
    Older older(pins);
    for (const char* name : {"vs_exact", "vs_flows", "vs_rules"}) {
        REQUIRE(unlink(pin_of(pins, kOlder, name).c_str()) == 0);
    }
    const UniqueFd exact(bpf_map_create(BPF_MAP_TYPE_HASH, "vs_exact", sizeof(vs_exact_key) + 4, 4, 16, nullptr));
    const UniqueFd flows(
        bpf_map_create(BPF_MAP_TYPE_HASH, "vs_flows", sizeof(vs_flow_key), sizeof(vs_flow), 16, nullptr));
    const UniqueFd rules(bpf_map_create(BPF_MAP_TYPE_ARRAY, "vs_rules", 4, sizeof(vs_rule) + 8, 16, nullptr));
    REQUIRE(bpf_obj_pin(exact.get(), pin_of(pins, kOlder, "vs_exact").c_str()) == 0);
    REQUIRE(bpf_obj_pin(flows.get(), pin_of(pins, kOlder, "vs_flows").c_str()) == 0);
    REQUIRE(bpf_obj_pin(rules.get(), pin_of(pins, kOlder, "vs_rules").c_str()) == 0);
    const auto datapath = pins.open();
    const auto of_older = [](const char* name) { return cat(name, " of version ", kOlder); };
    CHECK(datapath->carryover.lost ==
          std::vector<std::string>{of_older("vs_exact"), of_older("vs_rules"), of_older("vs_flows")});
    CHECK(datapath->exact.entries(16).empty());
    CHECK(datapath->flows.entries(16).empty());
    for (const auto* lost : {&exact, &flows, &rules}) {
        CHECK(std::ranges::count(datapath->carryover.maps, info_of(lost->get()).id) == 0);
    }
    check_carried(older.maps[5], pinned(pin_of(pins, VS_ABI, "vs_claims")));
}

TEST_CASE("migrate: a start that was killed after any of its pins is completed by the next one") {
    for (std::size_t made = 0; made <= kMaps.size(); ++made) {
        CAPTURE(made);
        const Pins pins;
        const Older older(pins);
        { const auto datapath = pins.open(); }
        // As it pins them: maps in this order, then programs.
        const auto names = list_directory(version_dir(pins.dir));
        REQUIRE(names);
        for (const auto& name : *names) {
            const auto map = std::ranges::find(kMaps, name, [](const MapName& one) { return std::string(one.name); });
            if (map == kMaps.end() || static_cast<std::size_t>(map - kMaps.begin()) >= made) {
                REQUIRE(unlink(cat(version_dir(pins.dir), '/', name).c_str()) == 0);
            }
        }
        const auto datapath = pins.open();
        CHECK_FALSE(datapath->adopted);
        for (std::size_t i = 0; i < kMaps.size(); ++i) {
            CAPTURE(std::string(kMaps[i].name));
            check_carried(older.maps[i], pinned(pin_of(pins, VS_ABI, kMaps[i].name)));
        }
    }
}

TEST_CASE("migrate: what programs write after the copy is brought in, and nothing is taken back") {
    const Pins pins;
    const Older older(pins);
    const auto datapath = pins.open();
    const int flows = older.maps[6].get();
    const int counters = older.maps[15].get();
    const auto set_older_flow = [&](const vs_flow_key& key, std::uint64_t last, __u8 owner) {
        vs_flow flow{};  // the older layout's 8 bytes shorter value: only the time
        flow.last = last;
        flow.owner = owner;
        REQUIRE(bpf_map_update_elem(flows, &key, &flow, BPF_ANY) == 0);
    };
    vs_flow_key both{};
    both.client_port_be = 1;
    vs_flow_key fresh{};
    fresh.client_port_be = 2;
    vs_flow_key known{};
    known.client_port_be = 3;
    set_older_flow(both, 10, VS_LOCAL);
    set_older_flow(fresh, 10, VS_LOCAL);
    set_older_flow(known, 10, VS_LOCAL);
    vs_flow ours{};
    ours.owner = VS_CLOUD;
    ours.last = 9;
    REQUIRE(datapath->flows.set(both, ours));
    ours.last = 11;
    REQUIRE(datapath->flows.set(known, ours));
    // Rule 7: the older programs counted in the first number, ours in the second.
    const __u32 rule = 7;
    const auto older_stride = stride(info_of(counters)) / 8;
    std::vector<std::uint64_t> theirs(older_stride * cpus());
    std::vector<vs_counters> now(cpus());
    for (std::size_t cpu = 0; cpu < cpus(); ++cpu) {
        theirs[cpu * older_stride] = 5;
        theirs[cpu * older_stride + 1] = 5;
        now[cpu].flows = 4;
        now[cpu].packets_in = 6;
    }
    REQUIRE(bpf_map_update_elem(counters, &rule, theirs.data(), BPF_ANY) == 0);
    REQUIRE(bpf_map_update_elem(datapath->counters.get(), &rule, now.data(), BPF_ANY) == 0);
    for (int time = 0; time < 2; ++time) {
        catch_up(pins.dir, datapath->carryover);
        CHECK(datapath->flows.find(both)->last == 10);
        CHECK(datapath->flows.find(fresh)->last == 10);
        CHECK(datapath->flows.find(known)->last == 11);
        CHECK(datapath->flows.find(known)->owner == VS_CLOUD);
        const auto sum = read_counters(*datapath, rule);
        REQUIRE(sum);
        CHECK(sum->flows == 5 * cpus());
        CHECK(sum->packets_in == 6 * cpus());
    }
}

TEST_CASE("migrate: a full table of flows keeps the latest ones") {
    const Pins pins;
    const Older older(pins);
    constexpr std::uint32_t kLatest = 8;
    const int flows = older.maps[6].get();
    const std::uint32_t room = info_of(flows).max_entries;
    for (std::uint32_t number = 1; number <= room; ++number) {
        vs_flow_key key{};
        key.client.word_be[0] = number * 2'654'435'761U;  // in no order of the table's
        vs_flow flow{};
        flow.last = 1'000'000 + number;
        REQUIRE(bpf_map_update_elem(flows, &key, &flow, BPF_ANY) == 0);
    }
    const auto datapath = pins.open();
    for (int time = 0; time < 3; ++time) {
        catch_up(pins.dir, datapath->carryover);
        for (std::uint32_t number = room - kLatest; number <= room; ++number) {
            CAPTURE(number);
            vs_flow_key key{};
            key.client.word_be[0] = number * 2'654'435'761U;
            vs_flow there{};
            REQUIRE(bpf_map_lookup_elem(flows, &key, &there) == 0);
            CHECK(datapath->flows.find(key).has_value());
        }
    }
}

TEST_CASE("migrate: of several older layouts each map comes from the newest that has it, and all of them go") {
    const Pins pins;
    const Older older(pins, 0);
    const std::uint32_t oldest = kOlder - 1;
    REQUIRE(make_directory(version_dir(pins.dir, oldest), 0700));
    const auto claims = info_of(older.maps[5].get());
    const UniqueFd other = like(claims, "vs_claims", kAppended, claims.max_entries);
    REQUIRE(bpf_obj_pin(other.get(), pin_of(pins, oldest, "vs_claims").c_str()) == 0);
    REQUIRE(rename(pin_of(pins, kOlder, "vs_rules").c_str(), pin_of(pins, oldest, "vs_rules").c_str()) == 0);
    const auto datapath = pins.open();
    CHECK(datapath->carryover.older == std::vector<std::uint32_t>{oldest, kOlder});
    check_carried(older.maps[5], pinned(pin_of(pins, VS_ABI, "vs_claims")));
    check_carried(older.maps[4], pinned(pin_of(pins, VS_ABI, "vs_rules")));
    REQUIRE(retire_pins(pins.dir, datapath->carryover));
    CHECK(datapath->carryover.older.empty());
    CHECK(*pinned_versions(pins.dir) == std::vector<std::uint32_t>{VS_ABI});
}

namespace {

/// A device that carries our programs, whose pins are those of an older layout now.
struct OlderDevice {
    explicit OlderDevice(const Pins& pins) {
        REQUIRE(run({"ip", "link", "add", "dev0", "type", "veth", "peer", "name", "dev1"}).success());
        index = if_nametoindex("dev0");
        const auto datapath = pins.open();
        REQUIRE(attach_filter(index, kHandle, datapath->lan));
        REQUIRE(attach_filter(index, kHandle, datapath->vs_return, Direction::egress));
        REQUIRE(make_directory(version_dir(pins.dir, kOlder), 0700));
        const auto names = list_directory(version_dir(pins.dir));
        REQUIRE(names);
        for (const auto& name : *names) {
            REQUIRE(rename(pin_of(pins, VS_ABI, name.c_str()).c_str(), pin_of(pins, kOlder, name.c_str()).c_str()) ==
                    0);
        }
    }
    ~OlderDevice() { CHECK(run({"ip", "link", "delete", "dev0"}).success()); }
    OlderDevice(const OlderDevice&) = delete;
    OlderDevice& operator=(const OlderDevice&) = delete;

    static constexpr std::uint32_t kHandle = 7;
    std::uint32_t index = 0;
};

}  // namespace

TEST_CASE("migrate: a program is replaced at once where all its maps are carried, in the direction that it has") {
    const Pins pins;
    const OlderDevice device(pins);
    const auto datapath = pins.open();
    for (const auto direction : {Direction::ingress, Direction::egress}) {
        CHECK(may_carry_earlier(device.index, device.kHandle, *datapath, direction));
        CHECK(*renew_filter(device.index, device.kHandle, *datapath, direction));
        CHECK_FALSE(may_carry_earlier(device.index, device.kHandle, *datapath, direction));
        CHECK_FALSE(*renew_filter(device.index, device.kHandle, *datapath, direction));
    }
    CHECK(*filter_attached(device.index, device.kHandle, datapath->lan));
    CHECK(*filter_attached(device.index, device.kHandle, datapath->vs_return, Direction::egress));
}

TEST_CASE("migrate: a program of which a map is not carried stays until the rules are written anew") {
    const Pins pins;
    const OlderDevice device(pins);
    REQUIRE(unlink(pin_of(pins, kOlder, "vs_exact").c_str()) == 0);
    const auto datapath = pins.open();
    CHECK_FALSE(*renew_filter(device.index, device.kHandle, *datapath, Direction::ingress));
    CHECK(may_carry_earlier(device.index, device.kHandle, *datapath, Direction::ingress));
    CHECK_FALSE(*filter_attached(device.index, device.kHandle, datapath->lan));
    CHECK(*attach_filter(device.index, device.kHandle, datapath->lan) == Attached::now);
    CHECK_FALSE(may_carry_earlier(device.index, device.kHandle, *datapath, Direction::ingress));
}
