// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/crowd.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kNamed = 8;

/// "483 services (a, b, c and 480 more)".
std::string crowd_text(const std::vector<std::string>& first, std::size_t count) {
    const std::size_t more = count - first.size();
    return cat(count, " services (", join(first, ", "), more == 0 ? "" : cat(" and ", more, " more"), ')');
}

}  // namespace

std::optional<Event> Crowd::take(Event event, BootTime now) {
    Held& held = held_[event.kind];
    if (held.names.insert(event.service).second && held.first.size() < kNamed) {
        held.first.push_back(event.service);
    }
    event.service.clear();
    auto out = folding_.take(std::move(event), now);
    return out ? std::optional(told(*std::move(out))) : std::nullopt;
}

Event Crowd::told(Event event) {
    const auto node = held_.extract(event.kind);
    const Held& held = node.mapped();
    if (held.names.size() == 1) {
        event.service = held.first.front();
    } else {
        event.text = cat(crowd_text(held.first, held.names.size()), ", the last one: ", event.text);
    }
    return event;
}

std::vector<Event> Crowd::told(std::vector<Event> events) {
    for (auto& event : events) {
        event = told(std::move(event));
    }
    return events;
}

std::vector<Event> Crowd::due(BootTime now) {
    return told(folding_.due(now));
}

std::vector<Event> Crowd::all() {
    return told(folding_.all());
}

std::vector<Event> gather(const std::vector<Event>& events, std::size_t most) {
    using Words = std::pair<std::string, std::string>;
    std::map<Words, std::vector<const Event*>> groups;
    for (const auto& event : events) {
        groups[{event.kind, event.text}].push_back(&event);
    }
    std::vector<Event> out;
    for (const auto& event : events) {
        const auto& group = groups.at({event.kind, event.text});
        if (group.size() <= most) {
            out.push_back(event);
        } else if (group.front() == &event) {
            Event sum = *group.back();
            std::vector<std::string> first;
            sum.times = 0;
            for (const Event* each : group) {
                sum.times += each->times;
                if (first.size() < kNamed) {
                    first.push_back(each->service);
                }
            }
            sum.since_ms = event.times == 1 ? event.time_ms : event.since_ms;
            sum.service.clear();
            sum.text = cat(crowd_text(first, group.size()), ": ", sum.text);
            out.push_back(std::move(sum));
        }
    }
    return out;
}

}  // namespace viscum
