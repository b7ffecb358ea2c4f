// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/service_spec.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

std::string text_of(const IpPrefix& prefix, const PortRange& ports, Protocol protocol) {
    const bool brackets = !prefix.address.is_v4();
    return cat(brackets ? "[" : "", prefix.text(), brackets ? "]:" : ":", ports.text(),
               protocol == Protocol::tcp ? "/tcp" : "/udp");
}

}  // namespace

std::string PortRange::text() const {
    if (*this == PortRange{}) {
        return "any";
    }
    return is_single() ? std::to_string(first) : cat(first, '-', last);
}

std::string Claim::text() const {
    return text_of(prefix, ports, protocol);
}

std::optional<WallTime> ServiceSpec::end_of(const Claim& claim) const {
    const auto end = std::ranges::find(ends, claim, &ClaimEnd::claim);
    return end == ends.end() ? std::nullopt : std::optional(end->at);
}

std::string EgressTarget::text() const {
    return text_of(prefix, ports, protocol);
}

std::string EgressSpec::text() const {
    std::vector<std::string> parts;
    if (internet) {
        parts.emplace_back("internet");
    }
    if (origin) {
        parts.emplace_back("origin");
    }
    for (const auto& target : targets) {
        parts.push_back(target.text());
    }
    return parts.empty() ? "none" : join(parts, ", ");
}

}  // namespace viscum
