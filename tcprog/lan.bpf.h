// SPDX-License-Identifier: GPL-2.0-only
// vs_lan: clsact ingress of the LAN devices. Packets for a claimed (address, port, protocol) go to the service's
// namespace when its socket table says that they belong there; all others go on as if we were not here.
#pragma once

#include "tcprog/maps.bpf.h"
#include "tcprog/packet.bpf.h"
#include "tcprog/rule.bpf.h"
#include "tcprog/sockets.bpf.h"

#define VS_MAC_LENGTH 6
// A backend's slot, or a verdict that tells why there is none.
#define VS_SLOTS 2
#define VS_REFUSE(verdict) ((verdict) + VS_SLOTS)

/// Whether new flows may come: the one place where admission is decided. Zero, or the verdict against it.
static __always_inline int admission_refusal(const struct vs_config* settings, const struct vs_rule* rule) {
    if (rule->admission == VS_OFF)
        return VS_NOT_ADMITTED;
    if (rule->admission == VS_DRAIN)
        return VS_DRAINING;
    if (bpf_ktime_get_boot_ns() >= settings->lease_until)
        return VS_LEASE_EXPIRED;
    return 0;
}

static __always_inline void flow_key(struct vs_flow_key* key, const struct vs_packet* packet) {
    key->client = packet->source;
    key->service = packet->destination;
    key->client_port_be = packet->source_port_be;
    key->service_port_be = packet->destination_port_be;
    key->protocol = packet->protocol;
    __builtin_memset(key->zero, 0, sizeof key->zero);
}

static __always_inline void remember_flow(const struct vs_packet* packet, __u32 rule, __u8 owner, __u8 slot,
                                          __u64 now) {
    struct vs_flow_key key;
    flow_key(&key, packet);
    const struct vs_flow flow = {.last = now, .rule = rule, .owner = owner, .slot = slot};
    bpf_map_update_elem(&vs_flows, &key, &flow, BPF_ANY);
}

/// Whether `now` is within `limit` of `then`. Another CPU may have read its clock for `then` after us.
static __always_inline int is_within(__u64 now, __u64 then, __u64 limit) {
    return (__s64)(now - then) < (__s64)limit;
}

static __always_inline int begins_flow(const struct vs_packet* packet) {
    return (packet->tcp_flags & (VS_TCP_SYN | VS_TCP_ACK | VS_TCP_RST | VS_TCP_FIN)) == VS_TCP_SYN;
}

/// Where a TCP segment other than a SYN goes: to the backend that has a socket for its 4-tuple.
static __always_inline int flow_slot(struct __sk_buff* skb, const struct vs_packet* packet, const struct vs_rule* rule,
                                     int check_cookie, int* time_wait) {
#pragma unroll
    for (int i = 0; i < VS_SLOTS; ++i) {
        const int slot = i == 0 ? rule->active & 1 : !(rule->active & 1);
        const struct vs_backend* backend = slot ? &rule->backend[1] : &rule->backend[0];
        if (!backend->ifindex)
            continue;
        const int found = find_tcp(skb, packet, backend->nsid, check_cookie);
        if (found == VS_SOCKET_FLOW || found == VS_SOCKET_COOKIE)
            return slot;
        if (found == VS_SOCKET_TIME_WAIT) {
            *time_wait = 1;
            return slot;
        }
    }
    return VS_REFUSE(VS_CLOUD_FLOW);
}

/// Whether the version beside the active one has this SYN's connection already. It is sent once more where the answer
/// is late: a second handshake, with the active version, would break the first.
static __always_inline int is_beside(struct __sk_buff* skb, const struct vs_packet* packet,
                                     const struct vs_rule* rule) {
    const struct vs_backend* beside = rule->active & 1 ? &rule->backend[0] : &rule->backend[1];
    return beside->ifindex && find_tcp(skb, packet, beside->nsid, 0) == VS_SOCKET_FLOW;
}

static __always_inline int tcp_slot(struct __sk_buff* skb, const struct vs_packet* packet,
                                    const struct vs_config* settings, const struct vs_rule* rule, __u32 index,
                                    int* is_new) {
    int time_wait = 0;
    struct vs_flow_key key;
    if (!begins_flow(packet)) {
        if (rule->admission == VS_OFF)
            return VS_REFUSE(VS_NOT_ADMITTED);
        const int slot = flow_slot(skb, packet, rule, packet->tcp_flags & VS_TCP_ACK, &time_wait);
        if (!time_wait)
            return slot;
        // The socket is what is left of an older connection; this packet may belong to a younger one with the cloud.
        flow_key(&key, packet);
        const struct vs_flow* flow = bpf_map_lookup_elem(&vs_flows, &key);
        return flow && flow->owner == VS_CLOUD ? VS_REFUSE(VS_CLOUD_FLOW) : slot;
    }
    const __u8 active = rule->active & 1;
    const struct vs_backend* backend = active ? &rule->backend[1] : &rule->backend[0];
    int refusal = admission_refusal(settings, rule);
    if (!refusal && !(backend->ifindex && has_listener(skb, packet, backend->nsid)))
        refusal = VS_NO_LISTENER;
    *is_new = 1;
    if (!refusal) {
        if (is_beside(skb, packet, rule)) {
            *is_new = 0;
            return !active;
        }
        flow_key(&key, packet);
        if (bpf_map_lookup_elem(&vs_flows, &key))  // dearer to delete what is not there
            bpf_map_delete_elem(&vs_flows, &key);
        return active;
    }
    // The SYN of a connection that is already under way locally, sent once more?
    const int slot = flow_slot(skb, packet, rule, 0, &time_wait);
    if (slot < VS_SLOTS && !time_wait && rule->admission != VS_OFF) {
        *is_new = 0;
        return slot;
    }
    if (time_wait)
        remember_flow(packet, index, VS_CLOUD, 0, bpf_ktime_get_boot_ns());
    return VS_REFUSE(refusal);
}

static __always_inline int takes_udp(struct __sk_buff* skb, const struct vs_packet* packet, const struct vs_rule* rule,
                                     __u8 slot) {
    const struct vs_backend* backend = slot ? &rule->backend[1] : &rule->backend[0];
    return backend->ifindex && has_udp(skb, packet, backend->nsid);
}

static __always_inline int udp_slot(struct __sk_buff* skb, const struct vs_packet* packet,
                                    const struct vs_config* settings, const struct vs_rule* rule, __u32 index,
                                    int* is_new) {
    const __u64 now = bpf_ktime_get_boot_ns();
    const __u8 active = rule->active & 1;
    struct vs_flow_key key;
    flow_key(&key, packet);
    struct vs_flow* flow = bpf_map_lookup_elem(&vs_flows, &key);
    // What may not leave the site is never the cloud's: it is served as soon as that is possible again.
    if (flow && flow->owner == VS_CLOUD && (rule->flags & VS_RULE_CLOSED))
        flow = 0;
    if (flow && is_within(now, flow->last, VS_UDP_IDLE_NS)) {
        flow->last = now;
        if (flow->owner == VS_CLOUD)
            return VS_REFUSE(VS_CLOUD_FLOW);
        __u8 slot = flow->slot & 1;
        int refusal = rule->admission == VS_OFF ? VS_NOT_ADMITTED : 0;
        if (!refusal && !takes_udp(skb, packet, rule, slot)) {
            refusal = VS_NO_LISTENER;
            // The version that served it has finished: the one after it goes on.
            if (slot != active && !admission_refusal(settings, rule) && takes_udp(skb, packet, rule, active)) {
                refusal = 0;
                slot = active;
            }
        }
        if (!refusal) {
            flow->rule = index;
            flow->slot = slot;
            return slot;
        }
        // Back to the cloud at once, and for good: a local server that comes back knows nothing of this flow.
        flow->owner = VS_CLOUD;
        return VS_REFUSE(refusal);
    }
    *is_new = 1;
    int refusal = admission_refusal(settings, rule);
    if (!refusal && !takes_udp(skb, packet, rule, active))
        refusal = VS_NO_LISTENER;
    remember_flow(packet, index, refusal ? VS_CLOUD : VS_LOCAL, active, now);
    return refusal ? VS_REFUSE(refusal) : active;
}

/// A frame for the router itself: what its own stack would take. A bridge's port sees frames for the bridge as another
/// host's unless both have one MAC.
static __always_inline int is_for_router(struct __sk_buff* skb) {
    if (skb->pkt_type == PACKET_HOST)
        return 1;
    if (skb->pkt_type != PACKET_OTHERHOST)
        return 0;
    const __u32 device = skb->ifindex;
    const struct vs_lan_device* lan = bpf_map_lookup_elem(&vs_lans, &device);
    const __u8* destination = (const void*)(long)skb->data;
    if (!lan || (const void*)(destination + VS_MAC_LENGTH) > (const void*)(long)skb->data_end)
        return 0;
    int different = 0;
#pragma unroll
    for (int i = 0; i < VS_MAC_LENGTH; ++i)
        different |= destination[i] ^ lan->mac[i];
    return !different;
}

/// Into the namespace, as if it had come in through its own device. bpf_redirect_peer leaves MAC and packet type as
/// they are; the namespace's stack drops a frame for another host, by its type: the MAC is not looked at again.
static __always_inline int redirect_to(struct __sk_buff* skb, const struct vs_rule* rule, int slot) {
    const __u32 ifindex = slot ? rule->backend[1].ifindex : rule->backend[0].ifindex;
    if (skb->pkt_type != PACKET_HOST)
        bpf_skb_change_type(skb, PACKET_HOST);
    return (int)bpf_redirect_peer(ifindex, 0);
}

static __always_inline int leave_alone(int verdict) {
    count_verdict((__u32)verdict);
    return TC_ACT_UNSPEC;
}

/// IPv6 counts ids for both addresses alone: the first fragment's protocol may stand behind headers that later ones
/// lack (RFC 8200, 4.5).
static __always_inline void fragment_key(struct vs_fragment_key* key, const struct vs_packet* packet, __u8 way) {
    key->source = packet->source;
    key->destination = packet->destination;
    key->id_be = packet->fragment_id_be;
    key->protocol = packet->v6 ? 0 : packet->protocol;
    key->way = way;
    __builtin_memset(key->zero, 0, sizeof key->zero);
}

static __always_inline int lan_later_fragment(struct __sk_buff* skb, const struct vs_packet* packet) {
    struct vs_fragment_key key;
    fragment_key(&key, packet, VS_FROM_CLIENT);
    const struct vs_fragment* first = bpf_map_lookup_elem(&vs_fragments, &key);
    if (!first || !is_within(bpf_ktime_get_boot_ns(), first->seen, VS_FRAGMENT_NS) || !is_for_router(skb))
        return leave_alone(VS_FRAGMENT);
    if (first->slot == VS_NO_SLOT) {
        count_verdict(VS_CLOSED);
        return TC_ACT_SHOT;
    }
    const __u32 index = first->rule;
    const int slot = first->slot & 1;
    const struct vs_rule* rule = bpf_map_lookup_elem(&vs_rules, &index);
    struct vs_counters* counters = counters_of(index);
    if (!rule || !counters || !(slot ? rule->backend[1].ifindex : rule->backend[0].ifindex))
        return leave_alone(VS_FRAGMENT);
    counters->packets_in += 1;
    counters->bytes_in += skb->len - ETH_HLEN;
    count_verdict(VS_SERVED);
    return redirect_to(skb, rule, slot);
}

static __always_inline int is_icmp_error(const struct vs_packet* packet) {
    if (packet->v6)
        return packet->icmp_type >= 1 && packet->icmp_type <= 4;                          // RFC 4443
    return packet->icmp_type == 3 || packet->icmp_type == 11 || packet->icmp_type == 12;  // RFC 792
}

/// Reads the packet that an ICMP error quotes, and turns it around: as if the client had answered it.
static __always_inline int quoted_flow(struct __sk_buff* skb, const struct vs_packet* outer, struct vs_packet* quoted) {
    const __u32 start = outer->l4_offset + 8;
    __u32 l4;
    if (outer->v6) {
        struct ipv6hdr ip;
        if (bpf_skb_load_bytes(skb, start, &ip, sizeof ip) < 0 || ip.version != 6)
            return 0;
        __builtin_memcpy(&quoted->destination, &ip.saddr, sizeof quoted->destination);
        __builtin_memcpy(&quoted->source, &ip.daddr, sizeof quoted->source);
        quoted->protocol = ip.nexthdr;  // what a service sends has no extension headers
        quoted->v6 = 1;
        l4 = start + sizeof ip;
    } else {
        struct iphdr ip;
        if (bpf_skb_load_bytes(skb, start, &ip, sizeof ip) < 0 || ip.version != 4 || ip.ihl < 5 ||
            (ip.frag_off & bpf_htons(VS_IP_OFFSET_MASK)))
            return 0;
        v4_address(&quoted->destination, ip.saddr);
        v4_address(&quoted->source, ip.daddr);
        quoted->protocol = ip.protocol;
        l4 = start + ip.ihl * 4;
    }
    __u16 ports[2];
    if ((quoted->protocol != IPPROTO_TCP && quoted->protocol != IPPROTO_UDP) || l4 + sizeof ports > outer->end ||
        bpf_skb_load_bytes(skb, l4, ports, sizeof ports) < 0)
        return 0;
    quoted->destination_port_be = ports[0];
    quoted->source_port_be = ports[1];
    return same_address(&outer->destination, &quoted->destination);
}

/// Path MTU and the like, for the namespace that owns the flow; echo requests go to the cloud.
static __always_inline int lan_icmp(struct __sk_buff* skb, const struct vs_packet* outer) {
    struct vs_packet quoted = {};
    const struct vs_config* settings = config();
    if (!settings || !is_icmp_error(outer) || !quoted_flow(skb, outer, &quoted))
        return leave_alone(VS_UNCLAIMED);
    const __u32 index =
        find_rule(settings, &quoted.destination, quoted.destination_port_be, quoted.protocol, quoted.v6);
    const struct vs_rule* rule = bpf_map_lookup_elem(&vs_rules, &index);
    if (index == VS_NO_RULE || !rule || rule->admission == VS_OFF)
        return leave_alone(VS_UNCLAIMED);
    if (!is_for_router(skb))
        return leave_alone(VS_OTHER_HOST);
    int slot;
    if (quoted.protocol == IPPROTO_TCP) {
        int time_wait = 0;
        slot = flow_slot(skb, &quoted, rule, 0, &time_wait);
    } else {
        struct vs_flow_key key;
        flow_key(&key, &quoted);
        const struct vs_flow* flow = bpf_map_lookup_elem(&vs_flows, &key);
        slot = flow && flow->owner == VS_LOCAL ? flow->slot & 1 : VS_REFUSE(VS_CLOUD_FLOW);
    }
    if (slot >= VS_SLOTS || !(slot ? rule->backend[1].ifindex : rule->backend[0].ifindex))
        return leave_alone(VS_CLOUD_FLOW);
    count_verdict(VS_ICMP_SERVED);
    return redirect_to(skb, rule, slot);
}

static __always_inline int refuse(struct vs_counters* counters, const struct vs_rule* rule, int verdict, int is_new) {
    const __u32 reason = (__u32)verdict - VS_REASON_FIRST;
    if (reason < VS_REASONS)
        counters->cloud[reason] += 1;
    if (rule->flags & VS_RULE_CLOSED) {
        count_verdict(VS_CLOSED);
        return TC_ACT_SHOT;
    }
    if (is_new)
        counters->flows_cloud += 1;
    return leave_alone(verdict);
}

static __always_inline void remember_source(const struct vs_packet* packet, const struct vs_rule* rule, int slot) {
    struct vs_source_key key = {.client = packet->source,
                                .client_port_be = packet->source_port_be,
                                .service_port_be = packet->destination_port_be,
                                .ifindex = slot ? rule->backend[1].ifindex : rule->backend[0].ifindex};
    const struct vs_addr* known = bpf_map_lookup_elem(&vs_sources, &key);
    if (!known || !same_address(known, &packet->destination))
        bpf_map_update_elem(&vs_sources, &key, &packet->destination, BPF_ANY);
}

SEC("tc")
int vs_lan(struct __sk_buff* skb) {
    if (is_for_others(skb))
        return leave_alone(VS_UNCLAIMED);
    struct vs_packet packet = {};
    const int stop = parse(skb, &packet);
    if (stop)
        return leave_alone(stop - 1);
    if (packet.fragment == VS_LATER_FRAGMENT)
        return lan_later_fragment(skb, &packet);
    if (packet.protocol != IPPROTO_TCP && packet.protocol != IPPROTO_UDP)
        return lan_icmp(skb, &packet);

    const struct vs_config* settings = config();
    if (!settings)
        return TC_ACT_UNSPEC;
    const __u32 index =
        find_rule(settings, &packet.destination, packet.destination_port_be, packet.protocol, packet.v6);
    if (index == VS_NO_RULE)
        return leave_alone(VS_UNCLAIMED);
    const struct vs_rule* rule = bpf_map_lookup_elem(&vs_rules, &index);
    struct vs_counters* counters = counters_of(index);
    if (!rule || !counters)
        return leave_alone(VS_UNCLAIMED);
    if (!is_for_router(skb))
        return leave_alone(VS_OTHER_HOST);

    int is_new = 0;
    const int slot = packet.protocol == IPPROTO_TCP ? tcp_slot(skb, &packet, settings, rule, index, &is_new)
                                                    : udp_slot(skb, &packet, settings, rule, index, &is_new);
    if (packet.fragment == VS_FIRST_FRAGMENT) {
        struct vs_fragment_key key;
        fragment_key(&key, &packet, VS_FROM_CLIENT);
        if (slot < VS_SLOTS || (rule->flags & VS_RULE_CLOSED)) {
            const struct vs_fragment first = {
                .seen = bpf_ktime_get_boot_ns(), .rule = index, .slot = slot < VS_SLOTS ? (__u8)slot : VS_NO_SLOT};
            bpf_map_update_elem(&vs_fragments, &key, &first, BPF_ANY);
        } else {
            bpf_map_delete_elem(&vs_fragments, &key);  // an older datagram may have had the same id
        }
    }
    if (slot >= VS_SLOTS)
        return refuse(counters, rule, slot - VS_SLOTS, is_new);
    if (packet.protocol == IPPROTO_UDP && (rule->flags & VS_RULE_SEVERAL))
        remember_source(&packet, rule, slot);
    if (is_new)
        counters->flows += 1;
    counters->packets_in += segments(skb);
    counters->bytes_in += skb->len - ETH_HLEN;
    count_verdict(VS_SERVED);
    return redirect_to(skb, rule, slot);
}
