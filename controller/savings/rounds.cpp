// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/rounds.h"

#include <algorithm>

namespace viscum {
namespace {

BootTime part_of(BootTime time, double dice) {
    return std::chrono::duration_cast<BootTime>(time * std::clamp(dice, 0.0, 1.0));
}

}  // namespace

std::vector<CloudTarget> cloud_targets(const ServiceSpec& spec) {
    std::vector<CloudTarget> out;
    if (spec.on_failure == OnFailure::drop) {
        return out;
    }
    for (const auto& claim : spec.intercept) {
        if (claim.protocol == Protocol::tcp && claim.prefix.is_single() && claim.ports.is_single()) {
            out.push_back({claim.prefix.address, claim.ports.first});
        }
    }
    return out;
}

std::optional<Rounds::Choice> Rounds::next(const std::vector<Served>& served, BootTime now, double dice) {
    // What was not asked for so long starts as a new one does.
    std::erase_if(turns_, [now](const auto& turn) { return turn.second.due + kInterval < now; });
    const Served* chosen = nullptr;
    for (const auto& one : served) {
        if (one.targets.empty()) {
            continue;
        }
        const auto [turn, is_new] = turns_.try_emplace(one.service);
        if (is_new) {
            turn->second.due = now + part_of(kFirst, dice);
        }
        if (turn->second.due <= now && (chosen == nullptr || turn->second.due < turns_[chosen->service].due)) {
            chosen = &one;
        }
    }
    if (chosen == nullptr) {
        return std::nullopt;
    }
    Turn& turn = turns_[chosen->service];
    turn.due = now + kInterval + part_of(kJitter, dice);
    return Choice{chosen->service, chosen->targets.at(turn.asked++ % chosen->targets.size())};
}

}  // namespace viscum
