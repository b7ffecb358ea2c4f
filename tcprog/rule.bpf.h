// SPDX-License-Identifier: GPL-2.0-only
// Which rule claims an address, port and protocol.
#pragma once

#include "tcprog/maps.bpf.h"
#include "tcprog/packet.bpf.h"

#define VS_NO_RULE 0xffffffffU

/// False: no rule claims anything of this address.
static __always_inline int may_be_claimed(const struct vs_addr* address, int v6) {
    const __u32 zero = 0;
    const struct vs_filter* filter = bpf_map_lookup_elem(&vs_filter, &zero);
    if (!filter || !(filter->families & (v6 ? VS_FILTER_V6 : VS_FILTER_V4)))
        return 1;
    const __u32 bit = vs_filter_bit(address);
    return (filter->bits[bit / 64] >> (bit % 64)) & 1;
}

/// Whether a frame's destination alone says that it is not ours, which is so for most of what a hotspot forwards: its
/// headers are not looked at any further. What cannot be told from the first bytes is for parse().
static __always_inline int is_for_others(const struct __sk_buff* skb) {
    const void* end = (const void*)(long)skb->data_end;
    const struct ethhdr* ethernet = (const void*)(long)skb->data;
    struct vs_addr destination;
    if ((const void*)ethernet + ETH_HLEN + sizeof(struct iphdr) > end || skb->vlan_present)
        return 0;
    if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
        const struct iphdr* ip = (const void*)ethernet + ETH_HLEN;
        v4_address(&destination, ip->daddr);
        return !may_be_claimed(&destination, 0);
    }
    const struct ipv6hdr* ip6 = (const void*)ethernet + ETH_HLEN;
    if (ethernet->h_proto != bpf_htons(ETH_P_IPV6) || (const void*)(ip6 + 1) > end)
        return 0;
    __builtin_memcpy(&destination, &ip6->daddr, sizeof destination);
    return !may_be_claimed(&destination, 1);
}

static __always_inline __u32 find_wide_rule(const struct vs_addr* address, __u16 port_be, __u8 protocol) {
    struct vs_prefix_key prefix = {.prefixlen = 128, .addr = *address};
    const __u32* set = bpf_map_lookup_elem(&vs_prefix, &prefix);
    if (!set)
        return VS_NO_RULE;
    struct vs_port_key port = {.prefixlen = 64, .set_be = bpf_htonl(*set), .protocol = protocol, .port_be = port_be};
    const __u32* rule = bpf_map_lookup_elem(&vs_port, &port);
    return rule ? *rule : VS_NO_RULE;
}

/// Constant time: one hash look-up, and two more in tries where claims of prefixes or port ranges exist in the family.
static __always_inline __u32 find_rule(const struct vs_config* settings, const struct vs_addr* address, __u16 port_be,
                                       __u8 protocol, int v6) {
    struct vs_exact_key exact = {.addr = *address, .port_be = port_be, .protocol = protocol};
    const __u32* rule = bpf_map_lookup_elem(&vs_exact, &exact);
    if (rule)
        return *rule;
    if (!(settings->flags & (v6 ? VS_WIDE_V6 : VS_WIDE_V4)))
        return VS_NO_RULE;
    return find_wide_rule(address, port_be, protocol);
}
