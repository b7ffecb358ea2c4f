// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/bpf_map.h"

#include <bpf/libbpf.h>

#include <algorithm>

namespace viscum {

void copy_map(int from, int to) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(from, &info, &size) != 0) {
        return;
    }
    const bool per_cpu = info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_HASH;
    const auto cpus = static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus()));
    std::vector<char> value(((info.value_size + 7U) & ~7U) * (per_cpu ? cpus : 1));
    std::vector<char> key(info.key_size);
    std::vector<char> next(info.key_size);
    bool any = bpf_map_get_next_key(from, nullptr, key.data()) == 0;
    for (std::uint32_t copied = 0; any && copied < info.max_entries; ++copied) {
        if (bpf_map_lookup_elem(from, key.data(), value.data()) == 0) {
            bpf_map_update_elem(to, key.data(), value.data(), BPF_ANY);
        }
        any = bpf_map_get_next_key(from, key.data(), next.data()) == 0;
        key.swap(next);
    }
}

}  // namespace viscum
