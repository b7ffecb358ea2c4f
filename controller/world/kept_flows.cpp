// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/kept_flows.h"

#include <algorithm>
#include <iterator>

namespace viscum {

std::vector<KeptFlow> KeptFlows::of(IfIndex link) const {
    std::vector<KeptFlow> flows;
    std::copy_if(flows_.begin(), flows_.end(), std::back_inserter(flows),
                 [link](const KeptFlow& flow) { return flow.link == link; });
    return flows;
}

bool KeptFlows::replace(IfIndex link, std::vector<KeptFlow> flows) {
    std::set<KeptFlow> seen;
    std::erase_if(flows, [&seen](const KeptFlow& flow) { return !seen.insert(flow).second; });
    std::vector<KeptFlow> kept;
    std::copy_if(flows_.begin(), flows_.end(), std::back_inserter(kept), [&](KeptFlow present) {
        const bool other = present.link != link;
        present.link = link;
        return other && !seen.contains(present);
    });
    const std::size_t room = kMax - std::min(kMax, kept.size());
    const std::size_t over = flows.size() - std::min(flows.size(), room);
    const auto before = without_place_.find(link);
    not_kept_ += over - std::min(over, before == without_place_.end() ? 0 : before->second);
    if (over == 0) {
        without_place_.erase(link);
    } else {
        without_place_[link] = over;
    }
    flows.resize(flows.size() - over);
    kept.insert(kept.end(), flows.begin(), flows.end());
    std::sort(kept.begin(), kept.end());
    const bool changed = kept != flows_;
    flows_ = std::move(kept);
    return changed;
}

std::set<IfIndex> KeptFlows::links_but(const std::set<IfIndex>& links) const {
    std::set<IfIndex> others;
    for (const KeptFlow& flow : flows_) {
        if (number(flow.link) != 0 && !links.contains(flow.link)) {
            others.insert(flow.link);
        }
    }
    return others;
}

}  // namespace viscum
