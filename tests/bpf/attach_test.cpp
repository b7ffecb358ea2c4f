// SPDX-License-Identifier: GPL-2.0-only
// Our filter beside other tools' filters and qdiscs.
#include "tcprog/attach.h"

#include <net/if.h>

#include <algorithm>

#include "base/text.h"
#include "tests/bpf/pins.h"
#include "tests/support/program.h"

using namespace viscum;

namespace {

constexpr std::uint32_t kMissing = 999'999;

std::string succeed(const Argv& argv) {
    const auto done = run(argv);
    CHECK_MESSAGE(done.success(), argv[0] << ": " << done.err);
    return done.out;
}

struct Device {
    Device() {
        succeed({"ip", "link", "add", "dev0", "type", "veth", "peer", "name", "dev1"});
        index = if_nametoindex("dev0");
    }
    ~Device() { succeed({"ip", "link", "delete", "dev0"}); }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    [[nodiscard]] static std::string qdiscs() { return succeed({"tc", "qdisc", "show", "dev", "dev0"}); }
    /// One line a filter: "pref 86 bpf … handle 0x… vs_lan …".
    [[nodiscard]] static std::vector<std::string> filters(const std::string& kind,
                                                          const std::string& direction = "ingress") {
        std::vector<std::string> out;
        for (const auto& line : split(succeed({"tc", "filter", "show", "dev", "dev0", direction}), '\n')) {
            if (line.find(kind) != std::string::npos && line.find("handle") != std::string::npos) {
                out.push_back(line);
            }
        }
        return out;
    }
    static void add_foreign(const std::string& priority) {
        succeed({"tc", "filter", "add", "dev", "dev0", "ingress", "protocol", "ip", "prio", priority, "u32", "match",
                 "u32", "0", "0", "flowid", "1:1"});
    }

    std::uint32_t index = 0;
};

}  // namespace

TEST_CASE("attach: clsact is made where it is missing, and a filter put in place once") {
    const Pins pins;
    const auto datapath = pins.open();
    const Device device;
    const auto handle = filter_handle("viscum");
    CHECK_FALSE(*filter_attached(device.index, handle, datapath->lan));
    CHECK(*attach_filter(device.index, handle, datapath->lan) == Attached::now);
    CHECK(Device::qdiscs().find("clsact") != std::string::npos);
    CHECK(*attach_filter(device.index, handle, datapath->lan) == Attached::already);
    const auto filters = Device::filters("bpf");
    REQUIRE(filters.size() == 1);
    CHECK(filters[0].find("pref 86 ") != std::string::npos);
    CHECK(filters[0].find("vs_lan") != std::string::npos);
    CHECK(filters[0].find("direct-action") != std::string::npos);
    CHECK(*filter_attached(device.index, handle, datapath->lan));
    CHECK_FALSE(*filter_attached(device.index, handle, datapath->service));
    CHECK(carries_filter(device.index, handle));
}

TEST_CASE("attach: the two directions of a device are apart") {
    const Pins pins;
    const auto datapath = pins.open();
    const Device device;
    const auto handle = filter_handle("viscum");
    CHECK(*attach_filter(device.index, handle, datapath->vs_return, Direction::egress) == Attached::now);
    CHECK(*attach_filter(device.index, handle, datapath->vs_return, Direction::egress) == Attached::already);
    CHECK(Device::filters("bpf").empty());
    REQUIRE(Device::filters("bpf", "egress").size() == 1);
    CHECK(Device::filters("bpf", "egress")[0].find("vs_return") != std::string::npos);
    CHECK_FALSE(carries_filter(device.index, handle));
    CHECK(carries_filter(device.index, handle, Direction::egress));
    CHECK(*attach_filter(device.index, handle, datapath->service) == Attached::now);
    CHECK(*filter_attached(device.index, handle, datapath->service));
    CHECK(*filter_attached(device.index, handle, datapath->vs_return, Direction::egress));
    CHECK_FALSE(*filter_attached(device.index, handle, datapath->service, Direction::egress));
    CHECK(detach_filter(device.index, handle, Direction::egress));
    CHECK(detach_filter(device.index, handle, Direction::egress));
    CHECK(Device::filters("bpf", "egress").empty());
    CHECK(Device::filters("bpf").size() == 1);
}

TEST_CASE("attach: a device with the older ingress qdisc takes no filter on what it sends, and stays as it is") {
    const Pins pins;
    const auto datapath = pins.open();
    const Device device;
    const auto handle = filter_handle("viscum");
    succeed({"tc", "qdisc", "add", "dev", "dev0", "ingress"});
    const auto before = Device::qdiscs();
    CHECK(attach_filter(device.index, handle, datapath->vs_return, Direction::egress).error().errno_code == EOPNOTSUPP);
    CHECK(Device::filters("bpf").empty());
    REQUIRE(attach_filter(device.index, handle, datapath->service));
    CHECK_FALSE(attach_filter(device.index, handle, datapath->vs_return, Direction::egress));
    CHECK(*filter_attached(device.index, handle, datapath->service));
    CHECK_FALSE(*filter_attached(device.index, handle, datapath->vs_return, Direction::egress));
    CHECK(detach_filter(device.index, handle, Direction::egress));
    CHECK(Device::qdiscs() == before);
}

TEST_CASE("attach: another program takes the place of ours at one instant, and leaves no second filter") {
    const Pins pins;
    const auto datapath = pins.open();
    const Device device;
    const auto handle = filter_handle("viscum");
    REQUIRE(attach_filter(device.index, handle, datapath->lan));
    const auto newer = pins.open({.rules = 32, .flows = 64, .fragments = 16});
    CHECK(*attach_filter(device.index, handle, newer->lan) == Attached::now);
    const auto filters = Device::filters("bpf");
    REQUIRE(filters.size() == 1);
    CHECK(filters[0].find(cat("id ", newer->lan.id, ' ')) != std::string::npos);
    const auto digits = hex(handle, 4);
    CHECK(filters[0].find(cat("handle 0x", digits.substr(digits.find_first_not_of('0')), ' ')) != std::string::npos);
}

TEST_CASE("attach: two instances share a device, and each removes its own filter") {
    const Pins pins;
    const auto datapath = pins.open();
    const Device device;
    const auto one = filter_handle("one");
    const auto two = filter_handle("two");
    CHECK(*attach_filter(device.index, one, datapath->lan) == Attached::now);
    CHECK(*attach_filter(device.index, two, datapath->service) == Attached::now);
    CHECK(Device::filters("bpf").size() == 2);
    CHECK(detach_filter(device.index, one));
    REQUIRE(Device::filters("bpf").size() == 1);
    CHECK(Device::filters("bpf")[0].find("vs_service") != std::string::npos);
    CHECK(carries_filter(device.index, two));
    CHECK_FALSE(carries_filter(device.index, one));
}

TEST_CASE("attach: other tools' qdiscs and filters stay, whatever we do") {
    const Pins pins;
    const auto datapath = pins.open();
    const auto handle = filter_handle("viscum");
    for (const auto* qdisc : {"clsact", "ingress"}) {
        CAPTURE(qdisc);
        const Device device;
        succeed({"tc", "qdisc", "add", "dev", "dev0", qdisc});
        Device::add_foreign("50");
        Device::add_foreign("49152");
        const auto foreign = Device::filters("u32");
        const auto qdiscs = Device::qdiscs();
        CHECK(*attach_filter(device.index, handle, datapath->lan) == Attached::now);
        CHECK(*attach_filter(device.index, handle, datapath->lan) == Attached::already);
        CHECK(Device::filters("u32") == foreign);
        CHECK(Device::qdiscs() == qdiscs);
        CHECK(detach_filter(device.index, handle));
        CHECK(Device::filters("bpf").empty());
        CHECK(Device::filters("u32") == foreign);
        CHECK(Device::qdiscs() == qdiscs);
    }
}

TEST_CASE("attach: what another tool flushed is put back") {
    const Pins pins;
    const auto datapath = pins.open();
    const Device device;
    const auto handle = filter_handle("viscum");
    REQUIRE(attach_filter(device.index, handle, datapath->lan));
    succeed({"tc", "qdisc", "delete", "dev", "dev0", "clsact"});
    CHECK_FALSE(*filter_attached(device.index, handle, datapath->lan));
    succeed({"tc", "qdisc", "add", "dev", "dev0", "ingress"});
    CHECK(*attach_filter(device.index, handle, datapath->lan) == Attached::now);
    CHECK(Device::filters("bpf").size() == 1);
}

TEST_CASE("attach: another tool's filter in our place is an error, and stays") {
    const Pins pins;
    const auto datapath = pins.open();
    const auto handle = filter_handle("viscum");
    {
        const Device device;
        succeed({"tc", "qdisc", "add", "dev", "dev0", "clsact"});
        Device::add_foreign("86");
        const auto before = Device::filters("u32");
        const auto result = attach_filter(device.index, handle, datapath->lan);
        REQUIRE_FALSE(result);
        CHECK(result.error().errno_code == EEXIST);
        CHECK_FALSE(carries_filter(device.index, handle));
        CHECK(detach_filter(device.index, handle));
        CHECK(Device::filters("u32") == before);
    }
    const Device device;
    succeed({"tc", "qdisc", "add", "dev", "dev0", "clsact"});
    const UniqueFd other = [] {
        const std::array<bpf_insn, 2> pass{
            {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, -1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
        return UniqueFd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass.data(), pass.size(), nullptr));
    }();
    REQUIRE(other);
    const std::string pin = cat(pins.dir, "/other");
    REQUIRE(bpf_obj_pin(other.get(), pin.c_str()) == 0);
    succeed({"tc", "filter", "add", "dev", "dev0", "ingress", "prio", "86", "handle", cat(handle), "bpf",
             "direct-action", "object-pinned", pin});
    const auto before = Device::filters("bpf");
    REQUIRE(before.size() == 1);
    const auto result = attach_filter(device.index, handle, datapath->lan);
    REQUIRE_FALSE(result);
    CHECK(result.error().errno_code == EEXIST);
    CHECK_FALSE(carries_filter(device.index, handle));
    CHECK(detach_filter(device.index, handle));
    CHECK(Device::filters("bpf") == before);
    REQUIRE(unlink(pin.c_str()) == 0);
}

TEST_CASE("attach: a device that is gone is an error to attach to, and none to detach from") {
    const Pins pins;
    const auto datapath = pins.open();
    const auto handle = filter_handle("viscum");
    const auto result = attach_filter(kMissing, handle, datapath->lan);
    REQUIRE_FALSE(result);
    CHECK(result.error().errno_code == ENODEV);
    CHECK(detach_filter(kMissing, handle));
    CHECK_FALSE(*filter_attached(kMissing, handle, datapath->lan));
    CHECK_FALSE(carries_filter(kMissing, handle));
    const Device device;
    CHECK(detach_filter(device.index, handle));  // no qdisc
    succeed({"tc", "qdisc", "add", "dev", "dev0", "clsact"});
    CHECK(detach_filter(device.index, handle));  // no filter
    CHECK(detach_filter(device.index, handle));
}
