// SPDX-License-Identifier: GPL-2.0-only
// What the BPF programs and viscumd share: the maps' keys and values. Read by clang -target bpf and by g++ alike.
//
// Fixed-width types, named zero padding, asserted sizes; `_be` where the byte order is the network's. Addresses of both
// families take 16 bytes, IPv4 as ::ffff:a.b.c.d. Any change of a layout or of a meaning raises VS_ABI, and keeps what
// migrate.h promises: values may be appended to, anything else gets its map a new name. Values of LRU maps begin with
// the time of the last packet (but vs_sources'); those of per-CPU maps are numbers of 8 bytes that only grow.
#pragma once

#include <linux/types.h>

#define VS_ABI 3

struct vs_addr {
    __u32 word_be[4];
};

// --- vs_config: one entry. viscumd writes, programs read. Pinned.

enum vs_config_flag {
    VS_WIDE_V4 = 1,  // claims of prefixes or port ranges exist in this family: ask the two tries, too
    VS_WIDE_V6 = 2,
};

struct vs_config {
    __u64 lease_until;  // CLOCK_BOOTTIME, ns: new flows are admitted until then; all ones: no lease
    __u32 flags;        // enum vs_config_flag
    __u32 zero;
};

// --- vs_filter: one entry: a bit for each hash of an address, set where a single address with that hash is claimed.
// The one look-up that most packets which are not ours cost. viscumd writes, vs_lan reads. Pinned.

enum vs_filter_family {  // no prefix of this family is claimed: without its bit an address is not claimed
    VS_FILTER_V4 = 1,
    VS_FILTER_V6 = 2,
};

#define VS_FILTER_SHIFT 17
#define VS_FILTER_WORDS (1 << (32 - VS_FILTER_SHIFT - 6))

struct vs_filter {
    __u32 families;  // enum vs_filter_family; 0, as in an empty map: any address may be claimed
    __u32 zero;
    __u64 bits[VS_FILTER_WORDS];  // 4 KB: 256 claims let 1 of 128 other addresses through to vs_exact, 4,096 1 of 9
};

/// The bit of an address: bits[bit / 64], from the lowest on. By multiplication (Knuth, TAOCP 3, 6.4).
static inline __attribute__((always_inline)) __u32 vs_filter_bit(const struct vs_addr* addr) {
    const __u32 word = addr->word_be[3] ^ (addr->word_be[2] * 5) ^ (addr->word_be[1] * 3) ^ addr->word_be[0];
    return (word * 2654435769U) >> VS_FILTER_SHIFT;
}

// --- vs_exact: single address and single port -> index of the rule. viscumd writes, programs read. Pinned.

struct vs_exact_key {
    struct vs_addr addr;
    __u16 port_be;
    __u8 protocol;
    __u8 zero;
};

// --- vs_prefix: longest prefix -> port set; vs_port: (port set, protocol, port) -> index of the rule. For all other
// claims. A set holds what shorter prefixes claim as well, so that one look-up in each decides. LPM tries: viscumd
// writes, both programs read. Pinned.

struct vs_prefix_key {
    __u32 prefixlen;  // bits of `addr`, 96 more than IPv4 counts
    struct vs_addr addr;
};

struct vs_port_key {
    __u32 prefixlen;  // 48 + the leading bits of the port that count
    __u32 set_be;
    __u8 protocol;
    __u8 zero;
    __u16 port_be;
};

// --- vs_rules: array of rules by index. viscumd writes, programs read. Pinned.

enum vs_admission {
    VS_OFF = 0,    // as if there were no rule; a new rule starts so
    VS_DRAIN = 1,  // flows that run go on, new ones go to the cloud
    VS_SERVE = 2,
};

enum vs_rule_flag {
    VS_RULE_CLOSED = 1,   // what cannot be served is dropped, not given to the cloud (on_failure: drop)
    VS_RULE_SEVERAL = 2,  // the service owns several addresses: a UDP reply's source may need correction
};

/// One version of a service: two stand side by side during an update.
struct vs_backend {
    __u32 nsid;     // the id of its namespace, as the router's namespace counts
    __u32 ifindex;  // the router's end of its link; 0: none
};

struct vs_rule {
    struct vs_backend backend[2];
    __u8 active;     // the backend that gets new flows: 0 or 1
    __u8 admission;  // enum vs_admission
    __u8 flags;      // enum vs_rule_flag
    __u8 zero;
    __u32 spare[5];
};

// --- vs_claims: array by rule index: what each rule claims and for whom, so that a new viscumd finds the index, and
// with it the counters, of a rule again. viscumd only. Pinned.

struct vs_claim {
    struct vs_addr addr;
    __u64 owner;  // a hash of the service's name; 0: the index is free
    __u16 first_port;
    __u16 last_port;
    __u8 length;  // of the prefix, as its family counts
    __u8 protocol;
    __u8 zero[2];
};

// --- vs_flows: LRU. UDP flows, by whom they are served; TCP flows that went to the cloud although the service still
// holds a time-wait socket of the same 4-tuple. Any entry may be lost. Programs write, viscumd adds the flows that
// connection tracking knows. Pinned.

enum vs_owner {
    VS_LOCAL = 1,
    VS_CLOUD = 2,
};

struct vs_flow_key {
    struct vs_addr client;
    struct vs_addr service;
    __u16 client_port_be;
    __u16 service_port_be;
    __u8 protocol;
    __u8 zero[3];
};

struct vs_flow {
    __u64 last;  // CLOCK_BOOTTIME, ns, of the last packet
    __u32 rule;
    __u8 owner;  // enum vs_owner
    __u8 slot;   // the backend that serves it
    __u8 zero[2];
};

// --- vs_sources: LRU. Which address a client asked, for services that own several: corrects the source of a UDP reply.
// Programs only. Pinned.

struct vs_source_key {
    struct vs_addr client;
    __u16 client_port_be;
    __u16 service_port_be;
    __u32 ifindex;  // of the service's link
};

// --- vs_fragments: LRU. Where the later fragments of a datagram go. Programs only. Pinned.

enum vs_fragment_way {  // each has its own: what one side has sent opens no way for the other
    VS_FROM_CLIENT = 0,
    VS_FROM_SERVICE = 1,
    VS_TO_SERVICE = 2,  // as the answer to what it began
};

struct vs_fragment_key {
    struct vs_addr source;
    struct vs_addr destination;
    __u32 id_be;
    __u8 protocol;
    __u8 way;  // enum vs_fragment_way
    __u8 zero[2];
};

#define VS_NO_SLOT 2
#define VS_OUT_SLOT 3

struct vs_fragment {
    __u64 seen;  // CLOCK_BOOTTIME, ns, of the first fragment
    __u32 rule;  // VS_OUT_SLOT: the link's ifindex
    __u8 slot;   // VS_NO_SLOT: dropped, as the first one was; VS_OUT_SLOT: of a flow that a service began
    __u8 zero[3];
    struct vs_addr source;  // what a reply's source is corrected to; zero: nothing
};

// --- vs_lans: hash, ifindex of a bridge's port -> the bridge's MAC: frames that a port takes for another host's, but
// that are the router's. viscumd writes, vs_lan reads. Pinned.

struct vs_lan_device {
    __u8 mac[6];
    __u8 zero[2];
};

// --- vs_links: hash, ifindex of the router's end of a service's link -> what the service may begin by itself, and the
// aliases that stand for its addresses on the router's side. No entry: nothing. viscumd writes, vs_service and
// vs_return read. Pinned.

#define VS_ORIGINS 6

enum vs_link_flag {
    VS_LINK_V4 = 1,  // `own` holds an address of this family
    VS_LINK_V6 = 2,
    VS_LINK_INTERNET = 4,  // whatever leaves by the router's default route
    VS_LINK_TARGETS = 8,   // vs_egress has entries of this link
};

struct vs_alias {
    struct vs_addr owned;  // by the service
    struct vs_addr alias;
};

struct vs_link {
    struct vs_alias own[2];  // of its own source address, IPv4 and IPv6
    struct vs_alias origins[VS_ORIGINS];
    __u32 nsid;  // of the service's namespace, as the router's namespace counts
    __u8 flags;  // enum vs_link_flag
    __u8 origin_count;
    __u8 mac[6];  // of the service's end
};

// --- vs_egress: LPM trie, (link, protocol, port, prefix) -> 1: where a service may begin flows to. Port 0 is any, so
// two look-ups decide. viscumd writes, vs_service reads. Pinned.

#define VS_EGRESS_BITS 64  // before the address

struct vs_egress_key {
    __u32 prefixlen;  // VS_EGRESS_BITS + bits of `addr`, 96 more than IPv4 counts
    __u32 ifindex;
    __u8 protocol;
    __u8 family;  // 4 or 6: ::/0 must not hold IPv4
    __u16 port_be;
    struct vs_addr addr;
};

// --- vs_outs: LRU, UDP flows that services began -> CLOCK_BOOTTIME, ns, of the last packet. Apart from vs_flows, so
// that no service pushes out what is known of clients; and a new entry costs its link a token, so that none pushes out
// another's faster than that. Any entry may be lost: the next packet costs a token, and for what comes back a socket
// that is connected to its peer needs none. Programs only. Pinned.

struct vs_out_key {
    struct vs_addr remote;  // as the service knows it
    __u32 ifindex;          // of the service's link
    __u16 remote_port_be;
    __u16 service_port_be;
};

// --- vs_verdicts: per-CPU array of packet counts. Every packet counts one. Programs write, viscumd reads. Pinned.

enum vs_verdict {
    // vs_lan: left alone
    VS_UNCLAIMED = 0,       // no rule for it
    VS_NOT_IP = 1,          // neither IPv4 nor IPv6
    VS_VLAN = 2,            // tagged
    VS_TRUNCATED = 3,       // ends within a header
    VS_MALFORMED = 4,       // a header contradicts itself
    VS_EXTENSION = 5,       // IPv6 extension headers: too many, unknown, or with the destination still to come
    VS_FRAGMENT = 6,        // a later fragment of something that we do not serve
    VS_OTHER_HOST = 7,      // claimed, but sent to another host of the LAN, or to several
    VS_NO_LISTENER = 8,     // claimed, a new flow, and nothing listens
    VS_DRAINING = 9,        // claimed, a new flow, and the rule drains
    VS_NOT_ADMITTED = 10,   // claimed, and the rule is off
    VS_LEASE_EXPIRED = 11,  // claimed, a new flow, and viscumd has not renewed the lease
    VS_CLOUD_FLOW = 12,     // claimed, and the flow began with the cloud
    // vs_lan: taken
    VS_SERVED = 13,
    VS_ICMP_SERVED = 14,  // an ICMP error about a served flow
    VS_CLOSED = 15,       // claimed, could not be served, and must not leave the site: dropped
    // vs_service: sent
    VS_REPLIED = 16,
    // vs_service: dropped
    VS_FENCE_PROTOCOL = 17,  // neither TCP nor UDP nor IP, or unparsable
    VS_FENCE_SOURCE = 18,    // not from an address and port that the service serves
    VS_FENCE_NEW_FLOW = 19,  // not a reply: a flow that the service begins itself
    VS_FENCE_REFUSAL = 20,   // a reset that answers a SYN: its listener has just gone, and the next SYN meets the cloud
    VS_FENCE_NO_ROUTE = 21,  // the client's address has no route
    VS_FENCE_TOO_LONG = 22,  // longer than the way to the client takes
    // vs_service: of a link with an entry in vs_links
    VS_EGRESS = 23,              // sent: a flow of the service's own
    VS_EGRESS_NOT_ALLOWED = 24,  // dropped: nothing allows its destination
    VS_EGRESS_PRIVATE = 25,      // dropped: `internet`, but to the router, its networks, or special-purpose addresses
    VS_EGRESS_NO_ROUTE = 26,     // dropped: the router has no default route
    VS_EGRESS_NOT_OWNED = 27,    // dropped: not from the address that the alias stands for
    VS_EGRESS_TOO_MANY = 28,     // dropped: a new flow, and the link has no token left
    // vs_return
    VS_RETURN_UNASKED = 29,  // dropped: to an alias, but of no flow that the service began
    VS_RETURNED = 30,        // delivered
    VS_RETURN_OTHER = 31,    // dropped: to no alias, or unparsable
    VS_VERDICTS = 40,        // spare: the map has room for more
};

// --- vs_counters: per-CPU array by rule index. Programs write, viscumd reads, and clears an index before it is used
// again. Pinned.

enum vs_reason {  // of packets given to the cloud, or dropped where the rule is closed: vs_verdict - VS_NO_LISTENER
    VS_REASON_FIRST = VS_NO_LISTENER,
    VS_REASONS = VS_CLOUD_FLOW - VS_NO_LISTENER + 1,
};

struct vs_counters {
    __u64 flows;  // admitted
    __u64 packets_in;
    __u64 bytes_in;  // from the IP header on
    __u64 packets_out;
    __u64 bytes_out;
    __u64 flows_cloud;  // new flows given to the cloud
    __u64 cloud[VS_REASONS];
    __u64 spare[5];
};

// --- vs_link_counters: per-CPU hash, ifindex -> what the link's service began. viscumd makes the entry before the
// link's and removes it afterwards; programs count. Pinned.

enum vs_link_reason {  // of packets dropped: vs_verdict - VS_EGRESS_NOT_ALLOWED
    VS_LINK_REASON_FIRST = VS_EGRESS_NOT_ALLOWED,
    VS_LINK_REASONS = VS_RETURN_UNASKED - VS_EGRESS_NOT_ALLOWED + 1,
};

struct vs_link_counters {
    __u64 out;
    __u64 out_bytes;  // from the IP header on
    __u64 in;
    __u64 in_bytes;
    __u64 refused[VS_LINK_REASONS];
    __u64 full_at;  // CLOCK_BOOTTIME, ns: when this CPU's bucket of new flows is full again; the past, so 0: it is
    __u64 spare;
};

/// How many flows a link begins at once on a CPU, and how long it waits there for one more: 64 a second. Each new flow
/// takes an entry of the router's connection tracking, which has 4,096 to 16,384 for all clients together, and keeps
/// UDP that nobody answers for 30 s, an unanswered SYN for 120 s. A full one drops the clients' new flows.
#define VS_NEW_FLOWS 256
#define VS_NEW_FLOW_NS (1000000000ULL / 64)

/// A UDP flow that was silent for so long is a new one: twice the usual idle timeout of QUIC.
#define VS_UDP_IDLE_NS (60ULL * 1000000000ULL)
/// The time for which fragments of a datagram are waited for (RFC 791: 15 s and more; Linux: 30 s).
#define VS_FRAGMENT_NS (30ULL * 1000000000ULL)

#ifdef __cplusplus
#define VS_ASSERT static_assert
#else
#define VS_ASSERT _Static_assert
#endif
VS_ASSERT(sizeof(struct vs_config) == 16, "ABI");
VS_ASSERT(sizeof(struct vs_filter) == 8 + 4096, "ABI");
VS_ASSERT(sizeof(struct vs_exact_key) == 20, "ABI");
VS_ASSERT(sizeof(struct vs_prefix_key) == 20, "ABI");
VS_ASSERT(sizeof(struct vs_port_key) == 12, "ABI");
VS_ASSERT(sizeof(struct vs_rule) == 40, "ABI");
VS_ASSERT(sizeof(struct vs_claim) == 32, "ABI");
VS_ASSERT(sizeof(struct vs_flow_key) == 40, "ABI");
VS_ASSERT(sizeof(struct vs_flow) == 16, "ABI");
VS_ASSERT(sizeof(struct vs_source_key) == 24, "ABI");
VS_ASSERT(sizeof(struct vs_fragment_key) == 40, "ABI");
VS_ASSERT(sizeof(struct vs_fragment) == 32, "ABI");
VS_ASSERT(sizeof(struct vs_lan_device) == 8, "ABI");
VS_ASSERT(sizeof(struct vs_counters) == 128, "ABI");
VS_ASSERT(sizeof(struct vs_link) == 268, "ABI");
VS_ASSERT(sizeof(struct vs_egress_key) == 28, "ABI");
VS_ASSERT(sizeof(struct vs_out_key) == 24, "ABI");
VS_ASSERT(sizeof(struct vs_link_counters) == 96, "ABI");
