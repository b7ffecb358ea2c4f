// SPDX-License-Identifier: GPL-2.0-only
// The flows that have their place whatever claims say, of a bounded number. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "classic/steer.h"

namespace viscum {

class KeptFlows {
public:
    static constexpr std::size_t kMax = 256;

    [[nodiscard]] const std::vector<KeptFlow>& all() const { return flows_; }
    /// Those of a service's link, or of the cloud (IfIndex{}).
    [[nodiscard]] std::vector<KeptFlow> of(IfIndex link) const;
    /// Puts `flows`, of this link, in the place of the link's. A flow has one place: it leaves the one that it had.
    /// Returns whether anything changed. Where there is no room for all the first ones are taken. The others
    /// are counted, as far as they are more than the last time: the same flows are said again and again.
    bool replace(IfIndex link, std::vector<KeptFlow> flows);
    /// Links other than the cloud's and these.
    [[nodiscard]] std::set<IfIndex> links_but(const std::set<IfIndex>& links) const;
    [[nodiscard]] std::uint64_t not_kept() const { return not_kept_; }

private:
    std::vector<KeptFlow> flows_;                   // sorted
    std::map<IfIndex, std::size_t> without_place_;  // of each link's, the last time
    std::uint64_t not_kept_ = 0;
};

}  // namespace viscum
