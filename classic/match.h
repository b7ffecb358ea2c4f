// SPDX-License-Identifier: GPL-2.0-only
// Which filter decides about a frame, as u32 asks them (net/sched/cls_u32.c). Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "classic/u32.h"

namespace viscum {

/// Of an Ethernet frame without VLAN tag, that the device receives. Filters that mirror decide nothing. Null: none
/// does, and the frame goes its usual way.
const U32Filter* deciding(const std::vector<StandingFilter>& standing, const std::vector<std::uint8_t>& frame);

}  // namespace viscum
