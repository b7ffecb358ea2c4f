// SPDX-License-Identifier: GPL-2.0-only
// Our filter on a device's clsact, in one direction or both: one handle at one priority, beside the filters of other
// tools.
// clsact is shared: made where it is missing, never removed. All calls act in the calling thread's namespace.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tcprog/loader.h"

namespace viscum {

/// Before bridger (0xbb00) and libbpf's default (49152), with room before us.
constexpr std::uint32_t kFilterPriority = 86;

/// Tells instances apart on a device that both serve.
std::uint32_t filter_handle(std::string_view instance);

/// Whether this kernel takes filters that hold a program (cls_bpf, clsact): tried by a child in a network namespace of
/// its own, which is gone with it. errno_code ENOEXEC: it does not. Needs CAP_SYS_ADMIN.
Status try_filters(const BpfProgram& program);

/// What a device receives, or what it sends.
enum class Direction { ingress, egress };

enum class Attached { already, now };

/// Adds clsact where there is none. A device loses what it would send while the kernel adds it (its queues are
/// stopped), once in its life: so do it before traffic matters. Idempotent.
Status add_clsact(std::uint32_t ifindex);

/// Puts `program` in the place of our filter, or adds it, at one instant. Writes nothing where it is there already.
/// errno_code EEXIST: another tool's filter has our priority, and our handle or another kind; it stays. ENODEV: no such
/// device. EOPNOTSUPP: it carries the older qdisc `ingress`, which filters nothing that is sent. The same program is
/// never to be attached in both directions.
Result<Attached> attach_filter(std::uint32_t ifindex, std::uint32_t handle, const BpfProgram& program,
                               Direction direction = Direction::ingress);

/// Whether our place on the device holds `program`. No device, qdisc or filter: no.
Result<bool> filter_attached(std::uint32_t ifindex, std::uint32_t handle, const BpfProgram& program,
                             Direction direction = Direction::ingress);

/// Whether our place on the device holds any program of ours, also one of an earlier build.
bool carries_filter(std::uint32_t ifindex, std::uint32_t handle, Direction direction = Direction::ingress);

/// Whether our place on the device holds a program of ours that is none of `datapath`'s: that of an earlier viscumd.
/// True also where it cannot be seen.
bool may_carry_earlier(std::uint32_t ifindex, std::uint32_t handle, const Datapath& datapath, Direction direction);

/// Puts `datapath`'s program of the same name in the place of an earlier one, where that works on no map but those that
/// were carried over (migrate.h, step 3). Returns whether it did.
Result<bool> renew_filter(std::uint32_t ifindex, std::uint32_t handle, const Datapath& datapath, Direction direction);

/// Removes our filter; others and clsact stay. Idempotent: no device, qdisc or filter is success.
Status detach_filter(std::uint32_t ifindex, std::uint32_t handle, Direction direction = Direction::ingress);

}  // namespace viscum
