// SPDX-License-Identifier: GPL-2.0-only
// How many values the kernel gives for a key of a per-CPU map.
#pragma once

#include <bpf/libbpf.h>

#include <cstddef>

namespace viscum {

/// CPUs that there may be on this machine: what a look-up writes. libbpf reads it from /sys once, and where that cannot
/// be opened (EMFILE) it is as many as any kernel is built for: a buffer that is too small would be written beyond its
/// end.
inline std::size_t possible_cpus() {
    constexpr std::size_t kMost = 8192;
    const int known = libbpf_num_possible_cpus();
    return known > 0 ? static_cast<std::size_t>(known) : kMost;
}

}  // namespace viscum
