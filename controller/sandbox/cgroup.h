// SPDX-License-Identifier: GPL-2.0-only
// Limits of a service's processes together: cgroup v2, and v1 for the controllers that live there (hybrid machines).
// Groups are only ever made below the mounted hierarchies. Of the hierarchies' own settings one may change: v2 hands a
// controller down only where the group above says so, so that a controller which a limit needs is enabled in the
// root's cgroup.subtree_control. It stays enabled.
//
//   HIERARCHY/INSTANCE/SERVICE.SLOT     in each hierarchy that is used
//
// Kernel documentation: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

/// nullopt: no such limit.
struct CgroupLimits {
    std::optional<std::uint64_t> memory{};  // bytes, swap included; whole pages are enforced
    std::optional<std::uint32_t> cpu{};     // hundredths of one CPU
    std::optional<std::uint32_t> pids{};
    bool operator==(const CgroupLimits&) const = default;
};

/// What the kernel has counted in a group since it was made; 0 where it does not count.
struct CgroupEvents {
    std::uint64_t oom_kills = 0;
    std::uint64_t forks_refused = 0;
    std::uint64_t memory_now = 0;  // bytes
    std::uint64_t cpu_used = 0;    // microseconds; v1: only where cpuacct is mounted together with cpu
    std::uint64_t pids_now = 0;
    bool operator==(const CgroupEvents&) const = default;
};

/// Where the controllers are on this machine.
struct CgroupLayout {
    struct Controller {
        bool v2 = false;
        std::string mount;  // of its hierarchy
        bool operator==(const Controller&) const = default;
    };
    std::optional<Controller> memory, cpu, pids;
    bool operator==(const CgroupLayout&) const = default;
};

/// Pure: from the text of /proc/self/mountinfo, and of cgroup.controllers in the v2 hierarchy's root (empty: none).
/// Hierarchies that are mounted read-only, as in many containers, are as good as none.
CgroupLayout read_cgroup_layout(const std::string& mountinfo, const std::string& v2_controllers);

/// One value to be written into a file of a group.
struct CgroupSetting {
    std::string file;
    std::string value;      // as the file reads back, but for v1's "-1" (none) in files of bytes
    bool optional = false;  // not every kernel has the file, and the limits hold without it
    bool operator==(const CgroupSetting&) const = default;
};

/// Pure: the settings of all three controllers. What has no limit is set to none. `page`: bytes of a page.
std::vector<CgroupSetting> cgroup_settings(bool v2, const CgroupLimits& limits, std::uint64_t page);

class Cgroups {
public:
    /// Looks where the controllers are. A machine without any is no error.
    static Result<Cgroups> open(const std::string& instance);

    [[nodiscard]] const CgroupLayout& layout() const { return layout_; }
    /// The limits that this machine cannot keep: "memory", "cpu", "pids".
    [[nodiscard]] std::vector<std::string> missing(const CgroupLimits& limits) const;

    /// Makes the group of `name` ("web.0") in every hierarchy that a limit needs, and sets the limits; in a group that
    /// is there already, a limit that is not asked for any more ends. Idempotent: what is as it should be is not
    /// written. An error leaves no new group. Limits without controller are passed over.
    Status make(const std::string& name, const CgroupLimits& limits) const;
    /// The files that a process of one thread writes "0" to in order to join, of the groups that are there (v2:
    /// cgroup.procs, v1: tasks). Let the service's own process join, not the shim: v2 ends all of a group when its
    /// memory runs out.
    [[nodiscard]] std::vector<std::string> join_files(const std::string& name) const;
    /// In any hierarchy.
    [[nodiscard]] bool exists(const std::string& name) const;
    /// Ends whatever is still in it, and removes it, and the instance's own group with the last one. Idempotent.
    /// errno_code EBUSY: a process of it has not ended yet, or another tool made a group in it; try again.
    Status remove(const std::string& name) const;
    [[nodiscard]] CgroupEvents events(const std::string& name) const;
    /// The limits that would be kept if another tool had not removed their group: "memory", "cpu", "pids".
    [[nodiscard]] std::vector<std::string> lost(const std::string& name, const CgroupLimits& limits) const;
    /// The names of the groups that the instance has, sorted.
    [[nodiscard]] Result<std::vector<std::string>> names() const;

private:
    Cgroups(std::string instance, CgroupLayout layout) : instance_(std::move(instance)), layout_(std::move(layout)) {}
    std::string instance_;
    CgroupLayout layout_;
};

}  // namespace viscum
