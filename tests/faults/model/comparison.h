// SPDX-License-Identifier: GPL-2.0-only
// A world's packets through the programs and through the model, compared; and the smallest case of a difference.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/faults/model/live_world.h"
#include "tests/faults/model/verdict_model.h"

namespace viscum {

struct Difference {
    std::size_t step = 0;  // that shows it
    std::string text;
};

/// Program and model of one world, from its beginning on.
class Comparison {
public:
    /// `rules`: other ones than the world's, for a smaller case.
    Comparison(LiveWorld& live, const std::vector<Rule>& rules);

    /// What differs after the step; nothing for none. `counted`, where given, counts the verdict.
    std::optional<std::string> step(const Step& step, Verdicts* counted = nullptr);
    /// What differs in what is remembered of flows, over all of them.
    std::optional<std::string> compare_flows() const;

private:
    std::optional<std::string> compare_packet(const Step& step, const Seen& seen, const Expectation& expected) const;
    std::optional<std::string> compare_counters() const;
    std::optional<std::string> compare_link_counters(int link) const;
    std::optional<std::string> compare_flow(const ModelFlowKey& key) const;

    LiveWorld& live_;
    std::vector<Rule> rules_;
    VerdictModel model_;
};

/// The first difference that these steps show in a world that begins anew.
std::optional<Difference> first_difference(LiveWorld& live, const std::vector<Rule>& rules,
                                           const std::vector<Step>& steps);

/// The smallest case that still differs, greedily: fewer steps, fewer rules, shorter frames; as text, with everything
/// that it takes to repeat it.
std::string smallest_case(LiveWorld& live, std::vector<Step> steps);

}  // namespace viscum
