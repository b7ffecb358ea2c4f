// SPDX-License-Identifier: GPL-2.0-only
// What processes use, as /proc tells it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

/// Of this pid namespace, by the name in /proc/PID/comm (at most 15 bytes), in ascending order.
std::vector<pid_t> processes_named(const std::string& name);

struct MemoryUse {
    std::uint64_t rss = 0;  // bytes: all pages that it has
    std::uint64_t pss = 0;  // bytes: each page divided by the number of processes that have it
};
/// /proc/PID/smaps_rollup.
Result<MemoryUse> memory_of(pid_t pid);

struct CpuUse {
    std::uint64_t nanoseconds = 0;  // on a processor, in user and kernel mode; of all threads
    std::uint64_t wakeups = 0;      // voluntary context switches: each is followed by a wake-up
    std::uint64_t preempted = 0;    // involuntary ones

    CpuUse& operator+=(const CpuUse& other);
    CpuUse operator-(const CpuUse& before) const;
};
/// /proc/PID/task/*/schedstat and status.
Result<CpuUse> cpu_of(pid_t pid);

}  // namespace viscum
