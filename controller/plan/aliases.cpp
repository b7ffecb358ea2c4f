// SPDX-License-Identifier: GPL-2.0-only
#include "controller/plan/aliases.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::uint32_t kPerSlot = 8;

/// The address that lies `offset` behind the start of `range`, which leaves at least 16 bits.
IpAddress behind(const IpPrefix& range, std::uint32_t offset) {
    IpAddress address = range.address;
    address.bytes[14] = static_cast<std::uint8_t>(offset >> 8);
    address.bytes[15] = static_cast<std::uint8_t>(offset);
    return address;
}

}  // namespace

std::optional<WantedEgress> egress_of(const ServiceSpec& spec, const AliasRange& range, std::uint32_t number,
                                      int slot) {
    if (!spec.egress.any()) {
        return std::nullopt;
    }
    WantedEgress egress;
    egress.allowed = spec.egress;
    const std::uint32_t base = (number * 2 + static_cast<std::uint32_t>(slot)) * kPerSlot;
    std::uint32_t origins_v4 = 0;
    std::uint32_t origins_v6 = 0;
    for (const auto& address : owned_by(spec).addresses) {
        const bool v4 = address.is_v4();
        const IpPrefix& block = v4 ? range.v4 : range.v6;
        auto& alias = v4 ? egress.alias_v4 : egress.alias_v6;
        if (!alias) {
            alias = behind(block, base);
        }
        std::uint32_t& count = v4 ? origins_v4 : origins_v6;
        if (spec.egress.origin && count + 1 < kPerSlot) {
            egress.origins.emplace_back(address, behind(block, base + ++count));
        }
    }
    return egress;
}

std::vector<std::pair<IpAddress, std::string>> origin_names(const ServiceSpec& spec, const WantedEgress& egress) {
    std::vector<std::pair<IpAddress, std::string>> lines;
    bool named[2] = {false, false};
    for (const auto& [owned, alias] : egress.origins) {
        std::vector<std::string> names;
        if (!std::exchange(named[owned.is_v4() ? 0 : 1], true)) {
            names.emplace_back("origin");
        }
        for (const auto& known : spec.names) {
            if (known.address == owned && std::find(names.begin(), names.end(), known.name) == names.end()) {
                names.push_back(known.name);
            }
        }
        if (!names.empty()) {
            lines.emplace_back(alias, join(names, " "));
        }
    }
    return lines;
}

}  // namespace viscum
