// SPDX-License-Identifier: GPL-2.0-only
// The maps; abi.h says who writes and who reads each. Sizes given as 1 are set by the loader from the configuration.
#pragma once

#include "tcprog/abi.h"
#include "tcprog/kernel.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vs_config);
} vs_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vs_filter);
} vs_filter SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct vs_exact_key);
    __type(value, __u32);
} vs_exact SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1);
    __type(key, struct vs_prefix_key);
    __type(value, __u32);
} vs_prefix SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1);
    __type(key, struct vs_port_key);
    __type(value, __u32);
} vs_port SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vs_rule);
} vs_rules SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vs_claim);
} vs_claims SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __type(key, struct vs_flow_key);
    __type(value, struct vs_flow);
} vs_flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __type(key, struct vs_source_key);
    __type(value, struct vs_addr);
} vs_sources SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __type(key, struct vs_fragment_key);
    __type(value, struct vs_fragment);
} vs_fragments SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct vs_lan_device);
} vs_lans SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vs_link);
} vs_links SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1);
    __type(key, struct vs_egress_key);
    __type(value, __u32);
} vs_egress SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __type(key, struct vs_out_key);
    __type(value, __u64);
} vs_outs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vs_link_counters);
} vs_link_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VS_VERDICTS);
    __type(key, __u32);
    __type(value, __u64);
} vs_verdicts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vs_counters);
} vs_counters SEC(".maps");

static __always_inline const struct vs_config* config(void) {
    const __u32 zero = 0;
    return bpf_map_lookup_elem(&vs_config, &zero);
}

// Per CPU, and a program is not preempted by itself on one: plain additions (atomics do not load on ARM32 with JIT).
static __always_inline void count_verdict(__u32 verdict) {
    __u64* packets = bpf_map_lookup_elem(&vs_verdicts, &verdict);
    if (packets)
        *packets += 1;
}

static __always_inline struct vs_counters* counters_of(__u32 rule) {
    return bpf_map_lookup_elem(&vs_counters, &rule);
}

static __always_inline __u32 segments(const struct __sk_buff* skb) {
    return skb->gso_segs ? skb->gso_segs : 1;
}
