// SPDX-License-Identifier: GPL-2.0-only
// What a service begins by itself, on its way out: judged by its destination, translated, and left to the router's own
// stack. For vs_service.
#pragma once

#include "tcprog/link.bpf.h"

/// Addresses that are not the internet's (RFC 6890), the ones for documentation excepted: no network has them.
static __always_inline int is_special_v4(__u32 address_be) {
    const __u32 address = bpf_ntohl(address_be);
    const __u32 first = address >> 24;
    return first == 0 || first == 10 || first == 127 || first >= 224 ||  // this, private, loopback, multicast and on
           address >> 22 == 0x64400000U >> 22 ||                         // 100.64.0.0/10
           address >> 16 == 0xa9fe || address >> 20 == 0xac1 ||          // 169.254.0.0/16, 172.16.0.0/12
           address >> 8 == 0xc00000 || address >> 16 == 0xc0a8 ||        // 192.0.0.0/24, 192.168.0.0/16
           address >> 17 == 0xc6120000U >> 17;                           // 198.18.0.0/15
}

/// Global unicast is 2000::/3 (RFC 4291); 2002::/16 holds IPv4 addresses, private ones too.
static __always_inline int is_special_v6(const struct vs_addr* address) {
    const __u32 first = bpf_ntohl(address->word_be[0]);
    return first >> 29 != 1 || first >> 16 == 0x2002;
}

struct vs_way {
    __u32 device;   // 0: none
    __u32 gateway;  // whether another router comes next
};

/// Where the router's stack would send a packet that comes from this link.
static __always_inline struct vs_way find_way(struct __sk_buff* skb, const struct vs_packet* packet,
                                              const struct vs_addr* source, const struct vs_addr* destination) {
    struct bpf_fib_lookup way = {};
    struct vs_way out = {};
    way.ifindex = skb->ifindex;
    way.l4_protocol = packet->protocol;
    if (packet->v6) {
        way.family = AF_INET6;
        __builtin_memcpy(way.ipv6_src, source, sizeof way.ipv6_src);
        __builtin_memcpy(way.ipv6_dst, destination, sizeof way.ipv6_dst);
    } else {
        way.family = AF_INET;
        way.ipv4_src = source->word_be[3];
        way.ipv4_dst = destination->word_be[3];
    }
    const long found = bpf_fib_lookup(skb, &way, sizeof way, 0);
    // Too long for the way is the stack's to answer.
    if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH &&
        found != BPF_FIB_LKUP_RET_FRAG_NEEDED)
        return out;
    out.device = way.ifindex;
    // The look-up has written the next hop over the destination, for IPv4 perhaps an IPv6 one.
    if (packet->v6)
        out.gateway = way.ipv6_dst[0] != destination->word_be[0] || way.ipv6_dst[1] != destination->word_be[1] ||
                      way.ipv6_dst[2] != destination->word_be[2] || way.ipv6_dst[3] != destination->word_be[3];
    else
        out.gateway = way.family != AF_INET || way.ipv4_dst != destination->word_be[3];
    return out;
}

/// Zero, or the verdict: what leaves by the device of the default route is neither the router's own nor its LAN's nor
/// another service's; and what stands on that device's own network is none of the internet's either, where the default
/// route goes on through a gateway (a router may have one device for all).
static __always_inline int internet_refusal(struct __sk_buff* skb, const struct vs_packet* packet,
                                            const struct vs_addr* alias) {
    struct vs_addr nowhere;  // 240.0.0.1, 3fff:ffff::1: never routed by itself
    if (packet->v6 ? is_special_v6(&packet->destination) : is_special_v4(packet->destination.word_be[3]))
        return VS_EGRESS_PRIVATE;
    v4_address(&nowhere, bpf_htonl(0xf0000001));
    if (packet->v6) {
        nowhere.word_be[0] = bpf_htonl(0x3fffffff);
        nowhere.word_be[2] = 0;
        nowhere.word_be[3] = bpf_htonl(1);
    }
    const struct vs_way usual = find_way(skb, packet, alias, &nowhere);
    if (!usual.device)
        return VS_EGRESS_NO_ROUTE;
    const struct vs_way way = find_way(skb, packet, alias, &packet->destination);
    return way.device == usual.device && (way.gateway || !usual.gateway) ? 0 : VS_EGRESS_PRIVATE;
}

static __always_inline int is_target(const struct vs_packet* packet, __u32 ifindex) {
    struct vs_egress_key key = {.prefixlen = VS_EGRESS_BITS + 128,
                                .ifindex = ifindex,
                                .protocol = packet->protocol,
                                .family = packet->v6 ? 6 : 4,
                                .port_be = packet->destination_port_be,
                                .addr = packet->destination};
    if (bpf_map_lookup_elem(&vs_egress, &key))
        return 1;
    key.port_be = 0;
    return bpf_map_lookup_elem(&vs_egress, &key) != 0;
}

/// A token bucket, kept as the one time at which it is full again: each token taken puts that off.
static __always_inline int take_token(struct vs_link_counters* counters, __u64 now) {
    if (!counters)
        return 0;
    const __u64 full_at = counters->full_at;
    const __u64 next = (is_within(full_at, now, 0) ? now : full_at) + VS_NEW_FLOW_NS;
    if (!is_within(next, now, VS_NEW_FLOWS * VS_NEW_FLOW_NS + 1))
        return 0;
    counters->full_at = next;
    return 1;
}

/// Whether the router's connection tracking may take it for a new flow: it takes a segment from the middle of one, too,
/// which only a raw socket makes up; but no reset, and that has often lost its socket.
static __always_inline int is_new_tcp(struct __sk_buff* skb, const struct vs_packet* packet, __u32 nsid) {
    if (packet->tcp_flags & VS_TCP_SYN)
        return 1;
    if (packet->tcp_flags & VS_TCP_RST)
        return 0;
    const struct vs_packet answer = {.source = packet->destination,
                                     .destination = packet->source,
                                     .source_port_be = packet->destination_port_be,
                                     .destination_port_be = packet->source_port_be,
                                     .v6 = packet->v6};
    const int found = find_tcp(skb, &answer, nsid, 0);
    return found != VS_SOCKET_FLOW && found != VS_SOCKET_TIME_WAIT;
}

/// Whether a packet with ports may go: of a flow that runs, or of a new one for which there is a token. UDP's are
/// remembered all, those of connected sockets too: what is not known is new.
static __always_inline int admit_out(struct __sk_buff* skb, const struct vs_packet* packet, __u32 nsid,
                                     struct vs_link_counters* counters) {
    const __u64 now = bpf_ktime_get_boot_ns();
    if (packet->protocol == IPPROTO_TCP)
        return !is_new_tcp(skb, packet, nsid) || take_token(counters, now);
    const struct vs_out_key key = {.remote = packet->destination,
                                   .ifindex = skb->ifindex,
                                   .remote_port_be = packet->destination_port_be,
                                   .service_port_be = packet->source_port_be};
    __u64* last = bpf_map_lookup_elem(&vs_outs, &key);
    if (last && is_within(now, *last, VS_UDP_IDLE_NS)) {
        *last = now;
        return 1;
    }
    if (!take_token(counters, now))
        return 0;
    bpf_map_update_elem(&vs_outs, &key, &now, BPF_ANY);
    return 1;
}

/// Zero, or the verdict. An origin's alias in `destination` becomes the address that it stands for.
static __always_inline int egress_refusal(struct __sk_buff* skb, const struct vs_packet* packet,
                                          const struct vs_link* link, const struct vs_alias* own,
                                          struct vs_addr* destination) {
    // Options that say where a packet goes are nobody's business here.
    if (!packet->v6 && packet->l4_offset != ETH_HLEN + sizeof(struct iphdr))
        return VS_EGRESS_NOT_ALLOWED;
    if (exchange_origin(link, destination, 1) || packet->fragment == VS_LATER_FRAGMENT)
        return 0;
    if ((link->flags & VS_LINK_TARGETS) && is_target(packet, skb->ifindex))
        return 0;
    return link->flags & VS_LINK_INTERNET ? internet_refusal(skb, packet, &own->alias) : VS_EGRESS_NOT_ALLOWED;
}

/// A packet of TCP or UDP that answers nobody; `verdict` against it where the service may begin nothing. A later
/// fragment was judged by its first one.
static __always_inline int send_own(struct __sk_buff* skb, const struct vs_packet* packet, int verdict) {
    const __u32 ifindex = skb->ifindex;
    const struct vs_link* link = bpf_map_lookup_elem(&vs_links, &ifindex);
    if (!link)
        return fence(verdict);
    struct vs_link_counters* counters = bpf_map_lookup_elem(&vs_link_counters, &ifindex);
    const struct vs_alias* own = own_alias(link, packet->v6);
    if (!own || !same_address(&own->owned, &packet->source))
        return fence_link(counters, VS_EGRESS_NOT_OWNED);
    struct vs_addr destination = packet->destination;
    const int refusal = egress_refusal(skb, packet, link, own, &destination);
    if (refusal)
        return fence_link(counters, refusal);
    if (packet->fragment != VS_LATER_FRAGMENT && !admit_out(skb, packet, link->nsid, counters))
        return fence_link(counters, VS_EGRESS_TOO_MANY);
    if (packet->fragment == VS_FIRST_FRAGMENT)
        remember_out_fragment(packet, ifindex, VS_FROM_SERVICE);
    if (counters) {
        counters->out += segments(skb);
        counters->out_bytes += skb->len - ETH_HLEN;
    }
    replace_address(skb, packet, 1, &own->alias);
    if (!same_address(&destination, &packet->destination))
        replace_address(skb, packet, 0, &destination);
    // The link has no neighbours, so its frames carry the service's own MAC; the stack takes those for itself alone.
    if (skb->pkt_type != PACKET_HOST)
        bpf_skb_change_type(skb, PACKET_HOST);
    count_verdict(VS_EGRESS);
    return TC_ACT_UNSPEC;
}
