// SPDX-License-Identifier: GPL-2.0-only
// Which rule claims an address, port and protocol.
#pragma once

#include "tcprog/maps.bpf.h"
#include "tcprog/packet.bpf.h"

#define VS_NO_RULE 0xffffffffU

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
