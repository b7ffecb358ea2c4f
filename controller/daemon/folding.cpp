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
    if (told.held) {
        event.times += told.held->times;
        event.since_ms = told.held->since_ms;
        told.held.reset();
    } else {
        event.since_ms = event.time_ms;
    }
    if (allows(told, now)) {
        charge(told, now);
        return event;
    }
    told.held = std::move(event);
    return std::nullopt;
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
