// SPDX-License-Identifier: GPL-2.0-only
// Control groups to throw away: a sandbox sees, in the place of each hierarchy, a group of its own below it. Two
// sandboxes at a time, or a daemon of the machine beside them, do not meet.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

class TestGroups {
public:
    /// Makes HIERARCHY/viscum-test-PID in the hierarchies of memory, cpu, cpuacct and pids, and in v2's. A hierarchy
    /// where that is not possible has none. Groups of that form whose process is gone are removed before.
    TestGroups();
    /// Removes them with all that is below; no process may be in them any more.
    ~TestGroups();
    TestGroups(const TestGroups&) = delete;
    TestGroups& operator=(const TestGroups&) = delete;

    /// In a mount namespace of the sandbox: each group over the mount point of its hierarchy. A hierarchy without group
    /// goes out of sight, so that nobody touches the machine's own groups.
    [[nodiscard]] Status take_the_place_of_hierarchies() const;

private:
    struct Hierarchy {
        std::string mount;
        bool has_group = false;
    };
    std::string name_;
    std::vector<Hierarchy> hierarchies_;
};

}  // namespace viscum
