// SPDX-License-Identifier: GPL-2.0-only
// What both directions of a service's link share: its entry, its counters, and addresses that are exchanged.
#pragma once

#include "tcprog/lan.bpf.h"

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

// BPF_F_PSEUDO_HDR, and whether a UDP checksum of 0 stays what it is.
#define VS_TCP_CHECKSUM BPF_F_PSEUDO_HDR
#define VS_UDP_CHECKSUM (BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0)

static __always_inline int fence(int verdict) {
    count_verdict((__u32)verdict);
    return TC_ACT_SHOT;
}

/// Drops one of VS_EGRESS_NOT_ALLOWED to VS_RETURN_UNASKED, and counts it for the link, too.
static __always_inline int fence_link(struct vs_link_counters* counters, int verdict) {
    const __u32 reason = (__u32)verdict - VS_LINK_REASON_FIRST;
    if (counters && reason < VS_LINK_REASONS)
        counters->refused[reason] += 1;
    return fence(verdict);
}

/// The service's own source address of a family and its alias; null where it has none.
static __always_inline const struct vs_alias* own_alias(const struct vs_link* link, int v6) {
    if (!(link->flags & (v6 ? VS_LINK_V6 : VS_LINK_V4)))
        return 0;
    return v6 ? &link->own[1] : &link->own[0];
}

/// Exchanges an origin's alias for the address that it stands for, or back. Whether `address` was one.
static __always_inline int exchange_origin(const struct vs_link* link, struct vs_addr* address, int to_owned) {
    if (!link->origin_count)
        return 0;
#pragma unroll
    for (int i = 0; i < VS_ORIGINS; ++i) {
        const struct vs_alias* origin = &link->origins[i];
        if (i < link->origin_count && same_address(to_owned ? &origin->alias : &origin->owned, address)) {
            *address = to_owned ? origin->owned : origin->alias;
            return 1;
        }
    }
    return 0;
}

/// Writes another address into the IP header, and makes right what is summed over it: IPv4's header checksum, and those
/// of TCP and UDP. Sizes stay, so what is still to be segmented or summed by a device stays right, too.
static __always_inline void replace_address(struct __sk_buff* skb, const struct vs_packet* packet, int is_source,
                                            const struct vs_addr* to) {
    const struct vs_addr* from = is_source ? &packet->source : &packet->destination;
    const int is_tcp = packet->protocol == IPPROTO_TCP;
    const int has_checksum = packet->fragment != VS_LATER_FRAGMENT && (is_tcp || packet->protocol == IPPROTO_UDP);
    const __u32 checksum = packet->l4_offset + (is_tcp ? 16 : 6);
    const __u64 flags = is_tcp ? VS_TCP_CHECKSUM : VS_UDP_CHECKSUM;
    if (packet->v6) {
        if (has_checksum) {
            const __s64 difference = bpf_csum_diff((__be32*)from, sizeof *from, (__be32*)to, sizeof *to, 0);
            bpf_l4_csum_replace(skb, checksum, 0, (__u64)difference, flags);
        }
        bpf_skb_store_bytes(skb, ETH_HLEN + (is_source ? 8 : 24), to, sizeof *to, 0);
        return;
    }
    if (has_checksum)
        bpf_l4_csum_replace(skb, checksum, from->word_be[3], to->word_be[3], flags | 4);
    bpf_l3_csum_replace(skb, ETH_HLEN + 10, from->word_be[3], to->word_be[3], 4);
    bpf_skb_store_bytes(skb, ETH_HLEN + (is_source ? 12 : 16), &to->word_be[3], 4, 0);
}

/// Later fragments go the way of this first one.
static __always_inline void remember_out_fragment(const struct vs_packet* packet, __u32 ifindex, __u8 way) {
    struct vs_fragment_key key;
    fragment_key(&key, packet, way);
    const struct vs_fragment first = {.seen = bpf_ktime_get_boot_ns(), .rule = ifindex, .slot = VS_OUT_SLOT};
    bpf_map_update_elem(&vs_fragments, &key, &first, BPF_ANY);
}
