// SPDX-License-Identifier: GPL-2.0-only
// u32 filters with mirred on a device's clsact: what a kernel without usable BPF can do with packets (kernel 4.11 and
// later; kmod-sched-core of OpenWrt). A filter is a value; what a device carries is kept equal to what is wanted.
//
// Ours are told from other tools' by the upper half of their class id, which a filter on clsact has no other use for.
// All calls act in the namespace of the socket that they are given.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

/// Bits of the four bytes at `offset` from the network header, which may lie before it; a multiple of four. In host
/// byte order.
struct U32Key {
    int offset = 0;
    std::uint32_t mask = 0;
    std::uint32_t value = 0;
    bool operator==(const U32Key&) const = default;
};

enum class U32Action {
    leave,     // no filter after it is asked: the packet goes its way
    redirect,  // to `target`, and nowhere else
    mirror,    // a copy to `target`; the next filter is asked
};

struct U32Filter {
    std::uint16_t priority = 0;  // lower ones are asked first; of one protocol each
    std::uint16_t protocol = 0;  // ETH_P_*, in host byte order
    std::vector<U32Key> keys;    // all must match; at most 32
    std::uint16_t mark = 0;      // what it is of; of no meaning here
    U32Action action = U32Action::leave;
    IfIndex target{};
    bool operator==(const U32Filter&) const = default;
};

struct StandingFilter {
    U32Filter filter;
    std::uint32_t handle = 0;
    std::uint64_t packets = 0, bytes = 0;  // that it took; 0 for `leave`
};

/// Tells instances apart; not 0.
std::uint16_t u32_instance(std::string_view instance);

/// Ours on what `device` receives. No device, qdisc or filter: none.
Result<std::vector<StandingFilter>> list_u32(const NlSocket& socket, IfIndex device, std::uint16_t instance);

/// In which order filters come; they go in the other one.
enum class U32Order {
    lowest_first,   // exceptions before the rule
    highest_first,  // what is refused before what is let through
};

/// Makes ours equal to `wanted`: first adds what is missing, then removes the rest. Makes clsact where there is
/// something to add. Returns the number of writes. What fails is passed over, and the first error told at the end. A
/// device that is gone is success where nothing is wanted.
Result<int> apply_u32(const NlSocket& socket, IfIndex device, std::uint16_t instance,
                      const std::vector<U32Filter>& wanted, U32Order order = U32Order::lowest_first);

/// Whether exactly `wanted` stands.
bool stands(const std::vector<StandingFilter>& standing, const std::vector<U32Filter>& wanted);

/// clsact, where there is none. It is shared, and never removed. Idempotent.
Status add_clsact(const NlSocket& socket, IfIndex device);

}  // namespace viscum
