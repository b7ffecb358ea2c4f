// SPDX-License-Identifier: GPL-2.0-only
// vs_service: clsact ingress of the router's end of a service's link. It is the way back and the fence in one: what a
// service sends is a reply to a served flow, and goes straight to the client's device; or it belongs to a flow that the
// service may begin; or it is dropped and counted.
#pragma once

#include "tcprog/egress.bpf.h"
#include "tcprog/link.bpf.h"

static __always_inline int is_backend(const struct vs_rule* rule, __u32 ifindex) {
    return rule->backend[0].ifindex == ifindex || rule->backend[1].ifindex == ifindex;
}

/// A reset that answers a SYN for which nobody listens: its sequence number is 0 (RFC 9293, 3.5.2).
static __always_inline int refuses_syn(struct __sk_buff* skb, const struct vs_packet* packet) {
    __u32 sequence_be = 1;
    return (packet->tcp_flags & (VS_TCP_RST | VS_TCP_ACK)) == (VS_TCP_RST | VS_TCP_ACK) &&
           bpf_skb_load_bytes(skb, packet->l4_offset + 4, &sequence_be, sizeof sequence_be) == 0 && sequence_be == 0;
}

/// Whether a socket of the service sent it: what a raw socket makes up belongs to none. A reset has often lost its
/// socket, and may go if it carries nothing; an answer with a SYN cookie comes from the listener.
static __always_inline int answers_tcp(struct __sk_buff* skb, const struct vs_packet* packet,
                                       const struct vs_rule* rule) {
    if (packet->tcp_flags & VS_TCP_RST) {
        __u8 offset = 0;  // of the data, in the upper half, in 4 bytes
        return bpf_skb_load_bytes(skb, packet->l4_offset + 12, &offset, 1) == 0 &&
               skb->len == packet->l4_offset + (offset >> 4) * 4U;
    }
    const __u32 nsid = rule->backend[0].ifindex == skb->ifindex ? rule->backend[0].nsid : rule->backend[1].nsid;
    const struct vs_packet question = {.source = packet->destination,
                                       .destination = packet->source,
                                       .source_port_be = packet->destination_port_be,
                                       .destination_port_be = packet->source_port_be,
                                       .v6 = packet->v6};
    const int found = find_tcp(skb, &question, nsid, 0);
    return found == VS_SOCKET_FLOW || found == VS_SOCKET_TIME_WAIT ||
           (found == VS_SOCKET_LISTENER && (packet->tcp_flags & VS_TCP_SYN));
}

/// The flow that a datagram of the service answers; `source` becomes the address that the client asked.
static __always_inline struct vs_flow* answered_flow(struct __sk_buff* skb, const struct vs_packet* packet,
                                                     struct vs_addr* source) {
    struct vs_flow_key key = {.client = packet->destination,
                              .service = packet->source,
                              .client_port_be = packet->destination_port_be,
                              .service_port_be = packet->source_port_be,
                              .protocol = packet->protocol};
    struct vs_flow* flow = bpf_map_lookup_elem(&vs_flows, &key);
    if (flow && flow->owner == VS_LOCAL)
        return flow;
    const struct vs_source_key asked = {.client = packet->destination,
                                        .client_port_be = packet->destination_port_be,
                                        .service_port_be = packet->source_port_be,
                                        .ifindex = skb->ifindex};
    const struct vs_addr* address = bpf_map_lookup_elem(&vs_sources, &asked);
    if (!address)
        return 0;
    *source = *address;
    key.service = *address;
    flow = bpf_map_lookup_elem(&vs_flows, &key);
    return flow && flow->owner == VS_LOCAL ? flow : 0;
}

static __always_inline int is_zero_mac(const __u8* mac) {
    return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/// To the client, by the router's own routes and neighbours, past its netfilter (it would see half a connection).
static __always_inline int send_to_client(struct __sk_buff* skb, const struct vs_packet* packet,
                                          const struct vs_addr* source) {
    struct bpf_fib_lookup way = {};
    way.ifindex = skb->ifindex;
    way.l4_protocol = packet->protocol;
    if (skb->gso_segs <= 1)
        way.tot_len = (__u16)(skb->len - ETH_HLEN);
    if (packet->v6) {
        way.family = AF_INET6;
        __builtin_memcpy(way.ipv6_src, source, sizeof way.ipv6_src);
        __builtin_memcpy(way.ipv6_dst, &packet->destination, sizeof way.ipv6_dst);
    } else {
        way.family = AF_INET;
        way.ipv4_src = source->word_be[3];
        way.ipv4_dst = packet->destination.word_be[3];
    }
    const long found = bpf_fib_lookup(skb, &way, sizeof way, 0);
    if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED)
        return fence(VS_FENCE_TOO_LONG);
    if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
        return fence(VS_FENCE_NO_ROUTE);
    count_verdict(VS_REPLIED);
    // Asks for the neighbour, and keeps the packet meanwhile. Before 6.3 one that is still asked for is found, without
    // MAC.
    if (found == BPF_FIB_LKUP_RET_NO_NEIGH || is_zero_mac(way.dmac))
        return (int)bpf_redirect_neigh(way.ifindex, 0, 0, 0);
    __u8 macs[2 * VS_MAC_LENGTH];
    __builtin_memcpy(macs, way.dmac, VS_MAC_LENGTH);
    __builtin_memcpy(macs + VS_MAC_LENGTH, way.smac, VS_MAC_LENGTH);
    bpf_skb_store_bytes(skb, 0, macs, sizeof macs, 0);
    return (int)bpf_redirect(way.ifindex, 0);
}

static __always_inline int reply(struct __sk_buff* skb, const struct vs_packet* packet, __u32 index,
                                 const struct vs_addr* source) {
    struct vs_counters* counters = counters_of(index);
    if (!counters)
        return fence(VS_FENCE_SOURCE);
    counters->packets_out += segments(skb);
    counters->bytes_out += skb->len - ETH_HLEN;
    if (!same_address(source, &packet->source))
        replace_address(skb, packet, 1, source);
    return send_to_client(skb, packet, source);
}

// No action: the fragment belongs to a flow that the service began.
#define VS_OWN_FRAGMENT (-2)

static __always_inline int service_later_fragment(struct __sk_buff* skb, const struct vs_packet* packet) {
    struct vs_fragment_key key;
    fragment_key(&key, packet, VS_FROM_SERVICE);
    const struct vs_fragment* first = bpf_map_lookup_elem(&vs_fragments, &key);
    if (!first || !is_within(bpf_ktime_get_boot_ns(), first->seen, VS_FRAGMENT_NS))
        return fence(VS_FENCE_SOURCE);
    if (first->slot == VS_OUT_SLOT)
        return first->rule == skb->ifindex ? VS_OWN_FRAGMENT : fence(VS_FENCE_SOURCE);
    const __u32 index = first->rule;
    const struct vs_rule* rule = bpf_map_lookup_elem(&vs_rules, &index);
    if (!rule || !is_backend(rule, skb->ifindex))
        return fence(VS_FENCE_SOURCE);
    const struct vs_addr nothing = {};
    const struct vs_addr source = same_address(&first->source, &nothing) ? packet->source : first->source;
    return reply(skb, packet, index, &source);
}

/// The rule that a segment answers by, or the verdict against it. Without rule for its source it may be of a flow that
/// the service begins: VS_FENCE_SOURCE.
static __always_inline int tcp_reply_refusal(struct __sk_buff* skb, const struct vs_packet* packet,
                                             const struct vs_config* settings, __u32* index) {
    *index = find_rule(settings, &packet->source, packet->source_port_be, packet->protocol, packet->v6);
    const __u32 found = *index;
    const struct vs_rule* rule = bpf_map_lookup_elem(&vs_rules, &found);
    if (found == VS_NO_RULE || !rule || !is_backend(rule, skb->ifindex))
        return VS_FENCE_SOURCE;
    if (begins_flow(packet))
        return VS_FENCE_NEW_FLOW;
    if (refuses_syn(skb, packet))
        return VS_FENCE_REFUSAL;
    return answers_tcp(skb, packet, rule) ? 0 : VS_FENCE_NEW_FLOW;
}

static __always_inline int udp_reply_refusal(struct __sk_buff* skb, const struct vs_packet* packet,
                                             struct vs_addr* source, __u32* index) {
    struct vs_flow* flow = answered_flow(skb, packet, source);
    if (!flow)
        return VS_FENCE_NEW_FLOW;
    flow->last = bpf_ktime_get_boot_ns();
    const __u32 found = flow->rule;
    const struct vs_rule* rule = bpf_map_lookup_elem(&vs_rules, &found);
    *index = found;
    return rule && is_backend(rule, skb->ifindex) ? 0 : VS_FENCE_SOURCE;
}

SEC("tc")
int vs_service(struct __sk_buff* skb) {
    struct vs_packet packet = {};
    if (parse(skb, &packet))
        return fence(VS_FENCE_PROTOCOL);
    __u32 index = VS_NO_RULE;
    struct vs_addr source = packet.source;
    int refusal = VS_FENCE_SOURCE;
    if (packet.fragment == VS_LATER_FRAGMENT) {
        const int action = service_later_fragment(skb, &packet);
        if (action != VS_OWN_FRAGMENT)
            return action;
    } else if (packet.protocol == IPPROTO_TCP) {
        const struct vs_config* settings = config();
        if (!settings)
            return TC_ACT_SHOT;
        refusal = tcp_reply_refusal(skb, &packet, settings, &index);
        if (refusal && refusal != VS_FENCE_SOURCE)
            return fence(refusal);
    } else if (packet.protocol == IPPROTO_UDP) {
        refusal = udp_reply_refusal(skb, &packet, &source, &index);
    } else {
        return fence(VS_FENCE_PROTOCOL);
    }
    if (refusal)
        return send_own(skb, &packet, refusal);
    if (packet.fragment == VS_FIRST_FRAGMENT) {
        struct vs_fragment_key key;
        fragment_key(&key, &packet, VS_FROM_SERVICE);
        struct vs_fragment first = {.seen = bpf_ktime_get_boot_ns(), .rule = index};
        if (!same_address(&source, &packet.source))
            first.source = source;
        bpf_map_update_elem(&vs_fragments, &key, &first, BPF_ANY);
    }
    return reply(skb, &packet, index, &source);
}
