// SPDX-License-Identifier: GPL-2.0-only
#include "controller/plan/admission.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {

bool has_ended(const ServiceSpec& spec, const Claim& claim, WallTime now) {
    const auto end = spec.end_of(claim);
    return end && *end <= now;
}

WallTime next_end(const ServiceSpec& spec, WallTime now) {
    WallTime next = WallTime::max();
    for (const auto& end : spec.ends) {
        next = end.at > now ? std::min(next, end.at) : next;
    }
    return next;
}

std::optional<WallTime> all_ended(const ServiceSpec& spec, WallTime now) {
    if (spec.ends.empty() || spec.ends.size() < spec.intercept.size()) {
        return std::nullopt;
    }
    const WallTime last = std::ranges::max(spec.ends, {}, &ClaimEnd::at).at;
    return last <= now ? std::optional(last) : std::nullopt;
}

std::string describe_ended(const ServiceSpec& spec, WallTime now) {
    const auto over = std::ranges::count_if(spec.ends, [now](const ClaimEnd& end) { return end.at <= now; });
    if (over == 0) {
        return {};
    }
    const char* const go = spec.on_failure == OnFailure::drop ? "new flows are dropped" : "new flows go to the cloud";
    const auto end = all_ended(spec, now);
    return end ? cat("ended at ", format_wall_time(*end), ": ", go)
               : cat(over, " of ", spec.intercept.size(), " claims ended, whose ", go);
}

Admission admission_of(const RunView& run, bool drained, Protocol protocol) {
    if (!run.has_link || !run.was_up) {
        return Admission::off;
    }
    if (!run.alive) {
        // The kernel goes on to deliver what the process wrote before it ended; nothing listens any more.
        return protocol == Protocol::tcp ? Admission::drain : Admission::off;
    }
    if (run.stopping || drained) {
        return Admission::drain;
    }
    if (run.spec->on_failure == OnFailure::keep) {
        return Admission::serve;
    }
    if (run.healthy && !run.held_down) {
        return Admission::serve;
    }
    // It hangs or flaps. Connections stay with the socket that holds them; a datagram has no such bond and is better
    // answered by the cloud at once.
    return protocol == Protocol::udp && !run.healthy ? Admission::off : Admission::drain;
}

std::vector<WantedRule> rules_of(const ServiceView& service) {
    std::vector<WantedRule> rules;
    for (const int slot : {service.primary, 1 - service.primary}) {
        const auto& run = service.runs[static_cast<std::size_t>(slot)];
        if (!run) {
            continue;
        }
        const WantedBackend owned = owned_by(*run->spec);
        const std::array several{owns_several(owned, false), owns_several(owned, true)};
        const auto others = static_cast<std::ptrdiff_t>(rules.size());  // claims of one version are disjoint
        for (const auto& claim : run->spec->intercept) {
            const bool drained = service.drained || has_ended(*run->spec, claim, service.now);
            const auto known = std::find_if(rules.begin(), rules.begin() + others,
                                            [&](const auto& rule) { return rule.claim == claim; });
            if (known != rules.begin() + others) {
                known->backend[static_cast<std::size_t>(slot)] = run->has_link;
                // One that finishes keeps its flows, also while the other one is not up yet: a deploy meanwhile.
                if (known->admission == Admission::off && run->stopping) {
                    known->admission = admission_of(*run, drained, claim.protocol);
                }
                continue;
            }
            WantedRule rule;
            rule.claim = claim;
            rule.service = service.name;
            rule.backend[static_cast<std::size_t>(slot)] = run->has_link;
            rule.active = slot;
            rule.closed = run->spec->on_failure == OnFailure::drop;
            rule.several = several[claim.prefix.address.is_v4() ? 1 : 0];
            // A claim of the other run alone: one that goes, or one that does not count yet.
            rule.admission =
                slot == service.primary || run->stopping ? admission_of(*run, drained, claim.protocol) : Admission::off;
            rules.push_back(rule);
        }
    }
    return rules;
}

}  // namespace viscum
