// SPDX-License-Identifier: GPL-2.0-only
// A frame's headers, read once. Nothing of the frame is changed here, and whatever is not understood has a verdict.
#pragma once

#include "tcprog/abi.h"
#include "tcprog/kernel.bpf.h"

// The order of bit fields is that of the headers' own processor: such of another byte order turn a length into a
// version.
#if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) != defined(__BIG_ENDIAN_BITFIELD)
#error "the kernel's headers are those of a processor of another byte order"
#endif

#define VS_TCP_FIN 0x01
#define VS_TCP_SYN 0x02
#define VS_TCP_RST 0x04
#define VS_TCP_ACK 0x10

enum vs_fragment_kind {
    VS_WHOLE = 0,
    VS_FIRST_FRAGMENT = 1,
    VS_LATER_FRAGMENT = 2,
};

struct vs_packet {
    struct vs_addr source;
    struct vs_addr destination;
    __u16 source_port_be;  // 0 in a later fragment and in ICMP
    __u16 destination_port_be;
    __u32 fragment_id_be;
    __u32 l4_offset;  // from the start of the frame
    __u32 end;        // of the IP packet, likewise: what is behind it is padding
    __u8 protocol;
    __u8 v6;
    __u8 fragment;   // enum vs_fragment_kind
    __u8 tcp_flags;  // the 14th byte of the TCP header
    __u8 icmp_type;
    __u8 zero[3];
};

// The kernel takes longer chains; a client's real packet has one or two.
#define VS_MAX_EXTENSIONS 6
// Ethernet, IPv6, six extension headers of which most are short, TCP.
#define VS_PULL 192

#define VS_IP_OFFSET_MASK 0x1fff
#define VS_IP_MORE 0x2000

// Zero: parsed. Otherwise the verdict to leave with, plus one.
#define VS_STOP(verdict) ((verdict) + 1)

struct vs_v6_extension {
    __u8 next;
    __u8 length;  // in 8 bytes, without the first 8
    __u8 type;    // of a routing header
    __u8 left;    // segments of a routing header that are still to come
};

struct vs_v6_fragment {
    __u8 next;
    __u8 zero;
    __u16 offset_be;  // in 8 bytes, from bit 3 on; bit 0: more
    __u32 id_be;
};

static __always_inline void v4_address(struct vs_addr* out, __u32 address_be) {
    out->word_be[0] = 0;
    out->word_be[1] = 0;
    out->word_be[2] = bpf_htonl(0xffff);
    out->word_be[3] = address_be;
}

static __always_inline int same_address(const struct vs_addr* a, const struct vs_addr* b) {
    return a->word_be[0] == b->word_be[0] && a->word_be[1] == b->word_be[1] && a->word_be[2] == b->word_be[2] &&
           a->word_be[3] == b->word_be[3];
}

static __always_inline int is_mapped(const struct vs_addr* address) {
    return address->word_be[0] == 0 && address->word_be[1] == 0 && address->word_be[2] == bpf_htonl(0xffff);
}

/// Where the IP packet ends. What GRO has put together may be longer than its length field can say, which is 0 then.
static __always_inline int find_end(const struct __sk_buff* skb, struct vs_packet* packet, __u32 headers,
                                    __u32 length) {
    packet->end = headers + length;
    if (!length && skb->gso_size)
        packet->end = skb->len;
    return packet->end > skb->len ? VS_STOP(VS_TRUNCATED) : 0;
}

static __always_inline int parse_v4(const struct __sk_buff* skb, struct vs_packet* packet) {
    const void* end = (const void*)(long)skb->data_end;
    const struct iphdr* ip = (const void*)(long)skb->data + ETH_HLEN;
    if ((const void*)(ip + 1) > end)
        return VS_STOP(VS_TRUNCATED);
    const __u32 length = ip->ihl * 4;
    const __u32 total = bpf_ntohs(ip->tot_len);
    if (ip->version != 4 || length < sizeof *ip || (total < length && (total || !skb->gso_size)))
        return VS_STOP(VS_MALFORMED);
    v4_address(&packet->source, ip->saddr);
    v4_address(&packet->destination, ip->daddr);
    packet->protocol = ip->protocol;
    packet->l4_offset = ETH_HLEN + length;
    const __u16 fragment = bpf_ntohs(ip->frag_off);
    if (fragment & VS_IP_OFFSET_MASK)
        packet->fragment = VS_LATER_FRAGMENT;
    else if (fragment & VS_IP_MORE)
        packet->fragment = VS_FIRST_FRAGMENT;
    packet->fragment_id_be = ip->id;
    return find_end(skb, packet, ETH_HLEN, total);
}

static __always_inline int parse_v6(const struct __sk_buff* skb, struct vs_packet* packet) {
    const void* start = (const void*)(long)skb->data;
    const void* end = (const void*)(long)skb->data_end;
    const struct ipv6hdr* ip = start + ETH_HLEN;
    if ((const void*)(ip + 1) > end)
        return VS_STOP(VS_TRUNCATED);
    if (ip->version != 6)
        return VS_STOP(VS_MALFORMED);
    __builtin_memcpy(&packet->source, &ip->saddr, sizeof packet->source);
    __builtin_memcpy(&packet->destination, &ip->daddr, sizeof packet->destination);
    // A mapped address is never on the wire (RFC 4038, 4.2), and would look like IPv4 from here on.
    if (is_mapped(&packet->source) || is_mapped(&packet->destination))
        return VS_STOP(VS_MALFORMED);
    packet->v6 = 1;
    __u32 offset = ETH_HLEN + sizeof *ip;
    __u8 next = ip->nexthdr;
    if (find_end(skb, packet, offset, bpf_ntohs(ip->payload_len)))
        return VS_STOP(VS_TRUNCATED);
#pragma unroll
    for (int i = 0; i <= VS_MAX_EXTENSIONS; ++i) {
        if (next == IPPROTO_TCP || next == IPPROTO_UDP || next == IPPROTO_ICMPV6) {
            packet->protocol = next;
            packet->l4_offset = offset;
            return 0;
        }
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT) {
            packet->protocol = next;
            packet->l4_offset = offset;
            if (offset > packet->end)
                return VS_STOP(VS_TRUNCATED);
            return VS_STOP(next == IPPROTO_NONE || next == IPPROTO_ESP || next == IPPROTO_AH || i ? VS_EXTENSION
                                                                                                  : VS_UNCLAIMED);
        }
        if (i == VS_MAX_EXTENSIONS)
            return VS_STOP(offset > packet->end ? VS_TRUNCATED : VS_EXTENSION);
        const struct vs_v6_extension* extension = start + offset;
        if ((const void*)extension + 8 > end || offset + 8 > packet->end)
            return VS_STOP(VS_TRUNCATED);
        if (next == IPPROTO_FRAGMENT) {
            const struct vs_v6_fragment* fragment = (const void*)extension;
            const __u16 bits = bpf_ntohs(fragment->offset_be);
            packet->fragment_id_be = fragment->id_be;
            packet->protocol = fragment->next;
            if (bits & 0xfff8) {
                packet->fragment = VS_LATER_FRAGMENT;
                return 0;
            }
            if (bits & 1)
                packet->fragment = VS_FIRST_FRAGMENT;
            offset += 8;
        } else {
            if (next == IPPROTO_ROUTING && extension->left)
                return VS_STOP(VS_EXTENSION);  // not yet at its destination
            offset += 8 + extension->length * 8;
        }
        next = extension->next;
    }
    return VS_STOP(VS_EXTENSION);
}

/// Where TCP, UDP or ICMP begins: at most 14 + 40 + 7 * 2048, and 2 more than a multiple of 4. The mask says both to
/// the verifier, which asks for the latter where processors do not read at odd addresses, as MIPS.
static __always_inline void* l4_header(const struct __sk_buff* skb, const struct vs_packet* packet) {
    return (void*)(long)skb->data + ((packet->l4_offset - 2) & 0x3ffc) + 2;
}

static __always_inline int parse_ports(const struct __sk_buff* skb, struct vs_packet* packet) {
    const void* end = (const void*)(long)skb->data_end;
    const void* l4 = l4_header(skb, packet);
    if (packet->protocol == IPPROTO_TCP) {
        const struct tcphdr* tcp = l4;
        if ((const void*)(tcp + 1) > end || packet->l4_offset + sizeof *tcp > packet->end)
            return VS_STOP(VS_TRUNCATED);
        if (tcp->doff < 5)
            return VS_STOP(VS_MALFORMED);
        packet->source_port_be = tcp->source;
        packet->destination_port_be = tcp->dest;
        packet->tcp_flags = ((const __u8*)tcp)[13];
        return 0;
    }
    if (packet->protocol == IPPROTO_UDP) {
        const __u16* ports = l4;
        if (l4 + 8 > end || packet->l4_offset + 8 > packet->end)
            return VS_STOP(VS_TRUNCATED);
        packet->source_port_be = ports[0];
        packet->destination_port_be = ports[1];
        return 0;
    }
    if (packet->protocol == (packet->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
        if (l4 + 8 > end || packet->l4_offset + 8 > packet->end)
            return VS_STOP(VS_TRUNCATED);
        packet->icmp_type = *(const __u8*)l4;
        return 0;
    }
    return VS_STOP(VS_UNCLAIMED);
}

static __always_inline int parse_headers(const struct __sk_buff* skb, struct vs_packet* packet) {
    const void* end = (const void*)(long)skb->data_end;
    const struct ethhdr* ethernet = (const void*)(long)skb->data;
    if ((const void*)(ethernet + 1) > end)
        return VS_STOP(VS_TRUNCATED);
    int stop;
    switch (ethernet->h_proto) {
        case bpf_htons(ETH_P_IP): stop = parse_v4(skb, packet); break;
        case bpf_htons(ETH_P_IPV6): stop = parse_v6(skb, packet); break;
        case bpf_htons(ETH_P_8021Q):
        case bpf_htons(ETH_P_8021AD): return VS_STOP(VS_VLAN);
        default: return VS_STOP(VS_NOT_IP);
    }
    if (stop)
        return stop;
    return packet->fragment == VS_LATER_FRAGMENT ? 0 : parse_ports(skb, packet);
}

/// Zero, or VS_STOP(verdict). Afterwards packet pointers of the caller are invalid.
static __always_inline int parse(struct __sk_buff* skb, struct vs_packet* packet) {
    // A tag that the kernel has taken off the frame is remembered here; the inner protocol then stands in
    // skb->protocol.
    if (skb->vlan_present)
        return VS_STOP(VS_VLAN);
    const int stop = parse_headers(skb, packet);
    if (stop != VS_STOP(VS_TRUNCATED) || skb->len <= (__u32)(skb->data_end - skb->data))
        return stop;
    // Some drivers leave the headers, or their end, outside of what can be read directly. Written out, not as a loop:
    // 5.10 takes loops in some orders of their instructions only, and the JITs of ARM32 and MIPS32 take no calls.
    bpf_skb_pull_data(skb, skb->len < VS_PULL ? skb->len : VS_PULL);
    packet->fragment = VS_WHOLE;
    return parse_headers(skb, packet);
}
