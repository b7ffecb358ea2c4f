// SPDX-License-Identifier: GPL-2.0-only
// From a difference to the least that shows it.
#include <algorithm>

#include "base/text.h"
#include "tests/bpf/sweep.h"
#include "tests/faults/model/comparison.h"

namespace viscum {
namespace {

/// Tries fewer steps, while the last one still differs: ever smaller pieces are left out.
void leave_out_steps(LiveWorld& live, const std::vector<Rule>& rules, std::vector<Step>& steps) {
    for (std::size_t piece = std::max<std::size_t>(1, steps.size() / 2);; piece /= 2) {
        for (std::size_t at = 0; at + 1 < steps.size();) {
            auto fewer = steps;
            const auto last = std::min(at + piece, steps.size() - 1);
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at),
                        fewer.begin() + static_cast<std::ptrdiff_t>(last));
            const auto difference = first_difference(live, rules, fewer);
            if (difference) {
                fewer.resize(difference->step + 1);
                steps = std::move(fewer);
            } else {
                at = last;
            }
        }
        if (piece <= 1) {
            return;
        }
    }
}

void leave_out_rules(LiveWorld& live, std::vector<Rule>& rules, std::vector<Step>& steps) {
    for (std::size_t i = rules.size(); i-- > 0;) {
        auto fewer = rules;
        auto changed = steps;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        for (auto& step : changed) {
            if (step.kind == Step::Kind::rules) {
                step.rules.erase(step.rules.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (const auto difference = first_difference(live, fewer, changed)) {
            changed.resize(difference->step + 1);
            rules = std::move(fewer);
            steps = std::move(changed);
        }
    }
}

/// Cuts what is behind, and clears single bytes.
void shorten_frames(LiveWorld& live, const std::vector<Rule>& rules, std::vector<Step>& steps) {
    const auto still = [&](std::size_t at, const Bytes& frame) {
        if (!can_be_run(frame)) {
            return false;
        }
        auto changed = steps;
        changed[at].frame = frame;
        const auto difference = first_difference(live, rules, changed);
        if (difference && difference->step + 1 == changed.size()) {
            steps = std::move(changed);
            return true;
        }
        return false;
    };
    for (std::size_t i = 0; i < steps.size(); ++i) {
        for (std::size_t cut = 64; cut > 0 && steps[i].kind == Step::Kind::packet;) {
            const Bytes& frame = steps[i].frame;
            const bool shorter =
                frame.size() >= 14 + cut && still(i, {frame.begin(), frame.end() - static_cast<std::ptrdiff_t>(cut)});
            cut = shorter ? cut : cut / 2;
        }
    }
}

}  // namespace

std::optional<Difference> first_difference(LiveWorld& live, const std::vector<Rule>& rules,
                                           const std::vector<Step>& steps) {
    if (!live.reset(rules)) {
        return std::nullopt;
    }
    Comparison comparison(live, rules);
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (auto text = comparison.step(steps[i])) {
            return Difference{i, std::move(*text)};
        }
    }
    if (auto text = comparison.compare_flows()) {
        return Difference{steps.empty() ? 0 : steps.size() - 1, std::move(*text)};
    }
    return std::nullopt;
}

std::string smallest_case(LiveWorld& live, std::vector<Step> steps) {
    std::vector<Rule> rules = live.world().rules;
    auto difference = first_difference(live, rules, steps);
    if (!difference) {
        return "it does not show again in the same world";
    }
    steps.resize(difference->step + 1);
    leave_out_steps(live, rules, steps);
    leave_out_rules(live, rules, steps);
    shorten_frames(live, rules, steps);
    difference = first_difference(live, rules, steps);
    const World& world = live.world();
    std::string out =
        cat(difference ? difference->text : "it does not show again", "\n  uplink: ", world.internet ? "yes" : "no",
            ", LAN's MTU ", world.lan_mtu, world.lease ? "" : ", no lease", world.bridge ? ", on a bridge" : "");
    for (const auto& rule : rules) {
        out += cat("\n  rule ", describe(rule));
    }
    for (const auto& socket : world.sockets) {
        out += cat("\n  ", describe(socket));
    }
    for (const int link : {0, 1}) {
        if (const auto& egress = world.egress[static_cast<std::size_t>(link)]) {
            out += cat("\n  egress of ", describe(link, *egress));
        }
    }
    for (const auto& step : steps) {
        out += cat("\n  > ", describe(step));
    }
    return out;
}

}  // namespace viscum
