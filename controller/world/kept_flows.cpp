// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/kept_flows.h"

#include <algorithm>
#include <iterator>

namespace viscum {
namespace {

bool same_flow(KeptFlow a, const KeptFlow& b) {
    a.link = b.link;
    return a == b;
}

}  // namespace

std::vector<KeptFlow> KeptFlows::of(IfIndex link) const {
    std::vector<KeptFlow> flows;
    std::copy_if(flows_.begin(), flows_.end(), std::back_inserter(flows),
                 [link](const KeptFlow& flow) { return flow.link == link; });
    return flows;
}

bool KeptFlows::replace(IfIndex link, std::vector<KeptFlow> flows) {
    std::sort(flows.begin(), flows.end());
    flows.erase(std::unique(flows.begin(), flows.end()), flows.end());
    std::vector<KeptFlow> kept;
    std::copy_if(flows_.begin(), flows_.end(), std::back_inserter(kept), [&](const KeptFlow& present) {
        return present.link != link &&
               std::none_of(flows.begin(), flows.end(), [&](const KeptFlow& flow) { return same_flow(flow, present); });
    });
    const std::size_t room = kMax - std::min(kMax, kept.size());
    if (flows.size() > room) {
        not_kept_ += flows.size() - room;
        flows.resize(room);
    }
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
