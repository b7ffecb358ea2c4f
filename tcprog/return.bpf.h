// SPDX-License-Identifier: GPL-2.0-only
// vs_return: clsact egress of the router's end of a service's link. What the router routes to an alias belongs to a
// flow that the service began, and is translated back; or it is dropped and counted. Nobody reaches a service by its
// alias.
#pragma once

#include "tcprog/link.bpf.h"

/// Whether the service's namespace waits for this: `flow` as it knows it.
static __always_inline int is_asked(struct __sk_buff* skb, const struct vs_packet* flow, __u32 nsid) {
    if (flow->protocol == IPPROTO_TCP) {
        const int found = find_tcp(skb, flow, nsid, 0);
        return found == VS_SOCKET_FLOW || found == VS_SOCKET_TIME_WAIT;
    }
    const struct vs_out_key key = {.remote = flow->source,
                                   .ifindex = skb->ifindex,
                                   .remote_port_be = flow->source_port_be,
                                   .service_port_be = flow->destination_port_be};
    const __u64 now = bpf_ktime_get_boot_ns();
    __u64* last = bpf_map_lookup_elem(&vs_outs, &key);
    if (last && is_within(now, *last, VS_UDP_IDLE_NS)) {
        *last = now;
        return 1;
    }
    return is_connected_udp(skb, flow, nsid);
}

/// The addresses of the packet that an ICMP error quotes. ICMP's checksum stays right over IPv4, as the quoted header's
/// own checksum changes by as much; over IPv6 it changes with the quoted addresses, and with the pseudo header.
static __always_inline void translate_error(struct __sk_buff* skb, const struct vs_packet* outer,
                                            const struct vs_addr* outer_source, const struct vs_alias* own,
                                            const struct vs_addr* quoted_destination,
                                            const struct vs_addr* destination) {
    const __u32 quoted = outer->l4_offset + 8;
    if (outer->v6) {
        const __u32 checksum = outer->l4_offset + 2;
        const __u32 size = sizeof(struct vs_addr);
        __s64 pseudo = bpf_csum_diff((__be32*)&own->alias, size, (__be32*)&own->owned, size, 0);
        const __s64 inner = bpf_csum_diff((__be32*)quoted_destination, size, (__be32*)destination, size, (__u32)pseudo);
        pseudo = bpf_csum_diff((__be32*)&outer->source, size, (__be32*)outer_source, size, (__u32)pseudo);
        bpf_l4_csum_replace(skb, checksum, 0, (__u64)pseudo, BPF_F_PSEUDO_HDR);
        bpf_l4_csum_replace(skb, checksum, 0, (__u64)inner, 0);
        bpf_skb_store_bytes(skb, quoted + 8, &own->owned, size, 0);
        bpf_skb_store_bytes(skb, quoted + 24, destination, size, 0);
        return;
    }
    bpf_l3_csum_replace(skb, quoted + 10, own->alias.word_be[3], own->owned.word_be[3], 4);
    bpf_l3_csum_replace(skb, quoted + 10, quoted_destination->word_be[3], destination->word_be[3], 4);
    bpf_skb_store_bytes(skb, quoted + 12, &own->owned.word_be[3], 4, 0);
    bpf_skb_store_bytes(skb, quoted + 16, &destination->word_be[3], 4, 0);
}

/// What `packet` is about, as the router knows it. Zero: nothing that a service could wait for.
static __always_inline int returned_flow(struct __sk_buff* skb, const struct vs_packet* packet,
                                         struct vs_packet* flow) {
    if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
        return is_icmp_error(packet) && quoted_flow(skb, packet, flow);
    flow->source = packet->source;
    flow->source_port_be = packet->source_port_be;
    flow->destination_port_be = packet->destination_port_be;
    flow->protocol = packet->protocol;
    flow->v6 = packet->v6;
    // Whoever begins is outside.
    return packet->protocol == IPPROTO_UDP || (packet->tcp_flags & (VS_TCP_SYN | VS_TCP_ACK)) != VS_TCP_SYN;
}

static __always_inline int is_later_return(const struct vs_packet* packet, __u32 ifindex) {
    struct vs_fragment_key key;
    fragment_key(&key, packet, VS_TO_SERVICE);
    const struct vs_fragment* first = bpf_map_lookup_elem(&vs_fragments, &key);
    return first && first->slot == VS_OUT_SLOT && first->rule == ifindex &&
           is_within(bpf_ktime_get_boot_ns(), first->seen, VS_FRAGMENT_NS);
}

static __always_inline int deliver(struct __sk_buff* skb, const struct vs_packet* packet, const struct vs_link* link,
                                   const struct vs_alias* own, const struct vs_addr* source,
                                   struct vs_link_counters* counters) {
    replace_address(skb, packet, 0, &own->owned);
    if (!same_address(source, &packet->source))
        replace_address(skb, packet, 1, source);
    bpf_skb_store_bytes(skb, 0, link->mac, VS_MAC_LENGTH, 0);
    if (counters) {
        counters->in += segments(skb);
        counters->in_bytes += skb->len - ETH_HLEN;
    }
    count_verdict(VS_RETURNED);
    return TC_ACT_UNSPEC;
}

SEC("tc")
int vs_return(struct __sk_buff* skb) {
    struct vs_packet packet = {};
    struct vs_packet flow = {};
    const __u32 ifindex = skb->ifindex;
    const struct vs_link* link = bpf_map_lookup_elem(&vs_links, &ifindex);
    if (!link || parse(skb, &packet))
        return fence(VS_RETURN_OTHER);
    const struct vs_alias* own = own_alias(link, packet.v6);
    if (!own || !same_address(&own->alias, &packet.destination))
        return fence(VS_RETURN_OTHER);
    struct vs_link_counters* counters = bpf_map_lookup_elem(&vs_link_counters, &ifindex);
    struct vs_addr source = packet.source;
    exchange_origin(link, &source, 0);
    if (packet.fragment == VS_LATER_FRAGMENT) {
        if (!is_later_return(&packet, ifindex))
            return fence_link(counters, VS_RETURN_UNASKED);
        return deliver(skb, &packet, link, own, &source, counters);
    }
    if (!returned_flow(skb, &packet, &flow))
        return fence_link(counters, VS_RETURN_UNASKED);
    const struct vs_addr remote = flow.source;
    exchange_origin(link, &flow.source, 0);
    flow.destination = own->owned;
    if (!is_asked(skb, &flow, link->nsid))
        return fence_link(counters, VS_RETURN_UNASKED);
    if (packet.protocol != flow.protocol)
        translate_error(skb, &packet, &source, own, &remote, &flow.source);
    else if (packet.fragment == VS_FIRST_FRAGMENT)
        remember_out_fragment(&packet, ifindex, VS_TO_SERVICE);
    return deliver(skb, &packet, link, own, &source, counters);
}
