// SPDX-License-Identifier: GPL-2.0-only
#include "classic/match.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <cstddef>

namespace viscum {
namespace {

bool matches(const U32Filter& filter, const std::vector<std::uint8_t>& frame) {
    return std::ranges::all_of(filter.keys, [&](const U32Key& key) {
        std::uint32_t word = 0;
        for (int byte = 0; byte < 4; ++byte) {
            // The key of a MAC begins before the frame, where its mask is 0.
            const int at = ETH_HLEN + key.offset + byte;
            if (at >= static_cast<int>(frame.size())) {
                return false;
            }
            word = word << 8 | (at < 0 ? 0U : frame[static_cast<std::size_t>(at)]);
        }
        return (word & key.mask) == (key.value & key.mask);
    });
}

}  // namespace

const U32Filter* deciding(const std::vector<StandingFilter>& standing, const std::vector<std::uint8_t>& frame) {
    if (frame.size() < ETH_HLEN) {
        return nullptr;
    }
    const auto protocol = static_cast<std::uint16_t>(frame[12] << 8 | frame[13]);
    const U32Filter* first = nullptr;
    for (const auto& [filter, handle, packets, bytes] : standing) {
        // Of one priority the first in the list is asked first.
        const bool before = first == nullptr || filter.priority < first->priority;
        if (before && filter.protocol == protocol && filter.action != U32Action::mirror && matches(filter, frame)) {
            first = &filter;
        }
    }
    return first;
}

}  // namespace viscum
