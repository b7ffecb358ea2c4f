// SPDX-License-Identifier: GPL-2.0-only
// The kernel's own socket table is the flow table: look-ups in a service's namespace, by its netns id (kernel >= 5.2).
#pragma once

#include "tcprog/packet.bpf.h"

enum vs_socket {
    VS_SOCKET_NONE = 0,
    VS_SOCKET_LISTENER = 1,
    VS_SOCKET_COOKIE = 2,  // a listener, and this ACK finishes a handshake that it answered with a SYN cookie
    VS_SOCKET_TIME_WAIT = 3,
    VS_SOCKET_FLOW = 4,  // established, or on the way there
};

static __always_inline __u32 socket_tuple(struct bpf_sock_tuple* tuple, int v6, const struct vs_addr* source,
                                          const struct vs_addr* destination, __u16 source_port_be,
                                          __u16 destination_port_be) {
    if (v6) {
        __builtin_memcpy(tuple->ipv6.saddr, source, sizeof tuple->ipv6.saddr);
        __builtin_memcpy(tuple->ipv6.daddr, destination, sizeof tuple->ipv6.daddr);
        tuple->ipv6.sport = source_port_be;
        tuple->ipv6.dport = destination_port_be;
        return sizeof tuple->ipv6;
    }
    tuple->ipv4.saddr = source->word_be[3];
    tuple->ipv4.daddr = destination->word_be[3];
    tuple->ipv4.sport = source_port_be;
    tuple->ipv4.dport = destination_port_be;
    return sizeof tuple->ipv4;
}

static __always_inline int finishes_cookie(struct __sk_buff* skb, const struct vs_packet* packet,
                                           struct bpf_sock* listener) {
    const void* end = (const void*)(long)skb->data_end;
    void* ip = (void*)(long)skb->data + ETH_HLEN;
    struct tcphdr* tcp = l4_header(skb, packet);
    if ((const void*)(tcp + 1) > end)
        return 0;
    if (packet->v6) {
        if (ip + sizeof(struct ipv6hdr) > end)
            return 0;
        return bpf_tcp_check_syncookie(listener, ip, sizeof(struct ipv6hdr), tcp, sizeof *tcp) == 0;
    }
    if (ip + sizeof(struct iphdr) > end)
        return 0;
    return bpf_tcp_check_syncookie(listener, ip, sizeof(struct iphdr), tcp, sizeof *tcp) == 0;
}

/// The socket that a TCP packet of this 4-tuple belongs to.
static __always_inline int find_tcp(struct __sk_buff* skb, const struct vs_packet* packet, __u32 nsid,
                                    int check_cookie) {
    struct bpf_sock_tuple tuple;
    const __u32 size = socket_tuple(&tuple, packet->v6, &packet->source, &packet->destination, packet->source_port_be,
                                    packet->destination_port_be);
    struct bpf_sock* sock = bpf_skc_lookup_tcp(skb, &tuple, size, nsid, 0);
    if (!sock)
        return VS_SOCKET_NONE;
    int found = VS_SOCKET_FLOW;
    if (sock->state == BPF_TCP_TIME_WAIT)
        found = VS_SOCKET_TIME_WAIT;
    else if (sock->state == BPF_TCP_LISTEN)
        found = check_cookie && finishes_cookie(skb, packet, sock) ? VS_SOCKET_COOKIE : VS_SOCKET_LISTENER;
    bpf_sk_release(sock);
    return found;
}

/// Whether a SYN to this address and port would meet a listener. The source is left out of the look-up: no connection
/// has port 0 at its other end, so a time-wait socket of the same 4-tuple cannot stand before the listener.
static __always_inline int has_listener(struct __sk_buff* skb, const struct vs_packet* packet, __u32 nsid) {
    struct bpf_sock_tuple tuple;
    const struct vs_addr anyone = {};
    const __u32 size = socket_tuple(&tuple, packet->v6, &anyone, &packet->destination, 0, packet->destination_port_be);
    struct bpf_sock* sock = bpf_skc_lookup_tcp(skb, &tuple, size, nsid, 0);
    if (!sock)
        return 0;
    const int listens = sock->state == BPF_TCP_LISTEN;
    bpf_sk_release(sock);
    return listens;
}

static __always_inline int has_udp(struct __sk_buff* skb, const struct vs_packet* packet, __u32 nsid) {
    struct bpf_sock_tuple tuple;
    const __u32 size = socket_tuple(&tuple, packet->v6, &packet->source, &packet->destination, packet->source_port_be,
                                    packet->destination_port_be);
    struct bpf_sock* sock = bpf_sk_lookup_udp(skb, &tuple, size, nsid, 0);
    if (!sock)
        return 0;
    bpf_sk_release(sock);
    return 1;
}

/// Whether a socket is connected to this very source.
static __always_inline int is_connected_udp(struct __sk_buff* skb, const struct vs_packet* packet, __u32 nsid) {
    struct bpf_sock_tuple tuple;
    const __u32 size = socket_tuple(&tuple, packet->v6, &packet->source, &packet->destination, packet->source_port_be,
                                    packet->destination_port_be);
    struct bpf_sock* sock = bpf_sk_lookup_udp(skb, &tuple, size, nsid, 0);
    if (!sock)
        return 0;
    const int connected = sock->state == BPF_TCP_ESTABLISHED;
    bpf_sk_release(sock);
    return connected;
}
