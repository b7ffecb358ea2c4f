// SPDX-License-Identifier: GPL-2.0-only
// Where the controllers are, by the texts that kernels write, and what a limit is in each version's files.
#include "controller/sandbox/cgroup.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace viscum {
namespace {

using Controller = CgroupLayout::Controller;
using Settings = std::vector<CgroupSetting>;

constexpr std::uint64_t kPage = 4096;

const char* const kHybrid =
    "23 28 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\n"
    "29 23 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,size=4096k,nr_inodes=1024,mode=755\n"
    "30 29 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
    "35 29 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:16 - cgroup cgroup rw,cpu,cpuacct\n"
    "36 29 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:17 - cgroup cgroup rw,memory\n"
    "37 29 0:33 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd\n";

bool has(const Settings& settings, const CgroupSetting& one) {
    return std::ranges::find(settings, one) != settings.end();
}

TEST_CASE("cgroup: v2 alone has what its root lists, wherever it is mounted") {
    const auto layout =
        read_cgroup_layout("30 23 0:26 / /cg rw,nosuid - cgroup2 none rw,nsdelegate\n", "cpuset cpu io memory pids\n");
    const Controller here{true, "/cg"};
    CHECK(layout.memory == here);
    CHECK(layout.cpu == here);
    CHECK(layout.pids == here);
}

TEST_CASE("cgroup: v1 controllers are found where several share a mount") {
    const auto layout = read_cgroup_layout(kHybrid, "");
    CHECK(layout.cpu == Controller{false, "/sys/fs/cgroup/cpu,cpuacct"});
    CHECK(layout.memory == Controller{false, "/sys/fs/cgroup/memory"});
    CHECK_FALSE(layout.pids);
}

TEST_CASE("cgroup: on a hybrid machine each controller is where the kernel has it") {
    const auto layout = read_cgroup_layout(kHybrid, "hugetlb pids\n");
    CHECK(layout.pids == Controller{true, "/sys/fs/cgroup/unified"});
    CHECK(layout.memory == Controller{false, "/sys/fs/cgroup/memory"});
}

TEST_CASE("cgroup: what is escaped in a mount point is read") {
    const auto layout = read_cgroup_layout("30 23 0:26 / /c\\040g\\134\\011x rw - cgroup2 c\\040g rw\n", "pids");
    CHECK(layout.pids == Controller{true, "/c g\\\tx"});
}

TEST_CASE("cgroup: a group of another that is mounted as a hierarchy is one") {
    const auto layout = read_cgroup_layout("30 23 0:26 /docker/1f2e /sys/fs/cgroup rw - cgroup cgroup rw,pids\n", "");
    CHECK(layout.pids == Controller{false, "/sys/fs/cgroup"});
}

TEST_CASE("cgroup: hierarchies that are mounted read-only count for nothing") {
    CHECK(read_cgroup_layout("30 23 0:26 / /cg ro,nosuid - cgroup2 cgroup2 rw\n", "memory cpu pids") == CgroupLayout{});
    CHECK(read_cgroup_layout("30 23 0:26 / /cg rw,nosuid - cgroup cgroup ro,memory\n", "") == CgroupLayout{});
}

TEST_CASE("cgroup: the options of other mounts name no controller") {
    CHECK(read_cgroup_layout("30 23 0:26 / /x rw - ext4 cgroup rw,memory\n", "memory") == CgroupLayout{});
    CHECK(read_cgroup_layout("30 23 0:26 / /x rw - cgroup cgroup rw,name=memory\n", "") == CgroupLayout{});
    CHECK(read_cgroup_layout("30 23 0:26 / /x rw - cgroup cgroup rw,cpuset,cpuacct\n", "") == CgroupLayout{});
}

TEST_CASE("cgroup: cut and empty lines name no controller") {
    const std::string line = "30 23 0:26 / /cg rw,nosuid shared:10 - cgroup cgroup rw,memory";
    for (std::size_t length = 0; length < line.size(); ++length) {
        CAPTURE(length);
        CHECK(read_cgroup_layout(line.substr(0, length), "") == CgroupLayout{});
    }
    CHECK(read_cgroup_layout("\n\n" + line + "\n\n", "").memory);
}

TEST_CASE("cgroup: v2 limits memory without swap, and ends a group as a whole") {
    const auto settings = cgroup_settings(true, {64UL << 20, 50, 32}, kPage);
    CHECK(settings == Settings{{"memory.max", "67108864", false},
                               {"memory.swap.max", "0", true},
                               {"memory.oom.group", "1", true},
                               {"cpu.max", "50000 100000", false},
                               {"pids.max", "32", false}});
}

TEST_CASE("cgroup: v1 limits memory and swap together") {
    const auto settings = cgroup_settings(false, {64UL << 20, 250, 32}, kPage);
    CHECK(settings == Settings{{"memory.limit_in_bytes", "67108864", false},
                               {"memory.memsw.limit_in_bytes", "67108864", true},
                               {"memory.kmem.tcp.limit_in_bytes", "67108864", true},
                               {"memory.swappiness", "0", true},
                               {"cpu.cfs_period_us", "100000", false},
                               {"cpu.cfs_quota_us", "250000", false},
                               {"pids.max", "32", false}});
}

TEST_CASE("cgroup: the least share of a CPU is one that kernels take") {
    CHECK(has(cgroup_settings(true, {.cpu = 1}, kPage), {"cpu.max", "1000 100000", false}));
}

TEST_CASE("cgroup: a limit is whole pages, as the kernel reads it back") {
    CHECK(has(cgroup_settings(true, {.memory = 1'000'000}, kPage), {"memory.max", "999424", false}));
    CHECK(has(cgroup_settings(true, {.memory = 1'000'000}, 65536), {"memory.max", "983040", false}));
}

TEST_CASE("cgroup: what has no limit is set to none, where the kernel has it") {
    for (const auto& setting : cgroup_settings(true, {}, kPage)) {
        CAPTURE(setting.file);
        CHECK(setting.optional);
    }
    CHECK(has(cgroup_settings(true, {}, kPage), {"cpu.max", "max 100000", true}));
    CHECK(has(cgroup_settings(false, {}, kPage), {"memory.limit_in_bytes", "-1", true}));
    CHECK(has(cgroup_settings(false, {}, kPage), {"cpu.cfs_quota_us", "-1", true}));
}

}  // namespace
}  // namespace viscum
