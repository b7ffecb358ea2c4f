// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/folding.h"

#include <algorithm>

namespace viscum {

bool Folding::allows(const Told& told, BootTime now) const {
    return told.full_at - now <= (pace_.burst - 1) * BootTime(pace_.every);
}

void Folding::charge(Told& told, BootTime now) const {
    told.full_at = std::max(told.full_at, now) + pace_.every;
}

std::optional<Event> Folding::take(Event event, BootTime now) {
    std::erase_if(told_, [now](const auto& entry) { return !entry.second.held && entry.second.full_at <= now; });
    Told& told = told_[{event.service, event.kind}];
    if (event.times == 1) {
        event.since_ms = event.time_ms;
    }
    if (told.held) {
        event.times += told.held->times;
        event.since_ms = std::min(event.since_ms, told.held->since_ms);
        told.held.reset();
    }
    if (allows(told, now)) {
        charge(told, now);
        return event;
    }
    told.held = std::move(event);
    return std::nullopt;
}

void Folding::remember(const std::string& service, const std::string& kind, BootTime at) {
    const auto [entry, added] = told_.try_emplace({service, kind});
    if (added) {
        entry->second.full_at = at;  // which may be before this boot
    }
    charge(entry->second, at);
}

void Folding::hold(Event event) {
    Told& told = told_[{event.service, event.kind}];
    told.held = std::move(event);
}

const Event* Folding::held(const std::string& service, const std::string& kind) const {
    const auto found = told_.find({service, kind});
    return found == told_.end() || !found->second.held ? nullptr : &*found->second.held;
}

std::vector<Event> Folding::due(BootTime now) {
    std::vector<Event> out;
    for (auto& [key, told] : told_) {
        if (told.held && allows(told, now)) {
            charge(told, now);
            out.push_back(*std::exchange(told.held, std::nullopt));
        }
    }
    std::ranges::stable_sort(out, {}, &Event::time_ms);
    return out;
}

std::optional<BootTime> Folding::next_due() const {
    std::optional<BootTime> next;
    for (const auto& [key, told] : told_) {
        const BootTime at = told.full_at - (pace_.burst - 1) * BootTime(pace_.every);
        if (told.held && (!next || at < *next)) {
            next = at;
        }
    }
    return next;
}

std::vector<Event> Folding::all() {
    std::vector<Event> out;
    for (auto& [key, told] : told_) {
        if (told.held) {
            out.push_back(*std::exchange(told.held, std::nullopt));
        }
    }
    std::ranges::stable_sort(out, {}, &Event::time_ms);
    return out;
}

}  // namespace viscum
