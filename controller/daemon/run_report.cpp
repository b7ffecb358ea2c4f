// SPDX-License-Identifier: GPL-2.0-only
// What a run says of itself: to the plan, and to those who ask why it is not up and healthy.
#include <algorithm>

#include "base/text.h"
#include "controller/daemon/run.h"
#include "controller/world/listening.h"

namespace viscum {

RunView Run::view() const {
    RunView view;
    view.spec = &spec_;
    view.has_link = context_.world.has_link(key_);
    view.was_up = was_up_;
    view.alive = process_.has_value();
    view.healthy = healthy();
    view.held_down = boot_now() < hold_.until();
    view.stopping = stopping();
    return view;
}

std::string Run::limit_met() const {
    const CgroupEvents now = group_events();
    const CgroupLimits limits = group_limits(spec_.limits, memory_of_machine());
    std::vector<std::string> met;
    if (now.oom_kills > met_before_.oom_kills && limits.memory) {
        met.push_back(cat("out of memory (limit ", format_size(*limits.memory), ")"));
    }
    if (now.forks_refused > met_before_.forks_refused && limits.pids) {
        met.push_back(cat("out of processes (limit ", *limits.pids, ")"));
    }
    return join(met, ", ");
}

std::vector<std::string> Run::limits_lost() const {
    if (!process_) {
        return {};
    }
    return context_.cgroups.lost(group(), group_limits(spec_.limits, memory_of_machine()));
}

std::string Run::describe_end() const {
    if (!last_exit_) {
        return {};
    }
    return met_.empty() ? last_exit_->describe() : cat(last_exit_->describe(), ": ", met_);
}

std::string Run::without_listener(bool all) const {
    const auto& claims = spec_.intercept;
    const NetNs* ns = process_ ? context_.world.net_ns(key_) : nullptr;
    if (ns == nullptr || claims.empty()) {
        return {};
    }
    const bool udp = std::ranges::find(claims, Protocol::udp, &Claim::protocol) != claims.end();
    const auto listening = listening_in(*ns, udp);
    if (!listening) {
        return {};
    }
    const auto missing = claims_without_listener(claims, *listening);
    return all && missing.size() < claims.size() ? "" : describe_missing(missing, *listening);
}

std::string Run::reason() const {
    const auto unhealthy = [this](const std::string& why) {
        const std::string missing = without_listener(false);
        return missing.empty() ? why : cat(why, "; ", missing);
    };
    switch (state_) {
        case RunState::up:
            if (!judge_.up()) {
                const std::string met = limit_met();
                return unhealthy(met.empty() ? judge_.reason() : cat(judge_.reason(), "; ", met));
            }
            return boot_now() < hold_.until() ? "held down: it went down too often" : without_listener(true);
        case RunState::starting: return unhealthy(judge_.reason().empty() ? "not healthy yet" : judge_.reason());
        case RunState::backoff:
        case RunState::failed: return !problem_.empty() ? problem_ : describe_end();
        case RunState::stopping: return stuck_.empty() ? "stopping" : cat("stopping: ", stuck_);
        case RunState::preparing: return "preparing";
        case RunState::down: return "down";
    }
    return {};
}

}  // namespace viscum
