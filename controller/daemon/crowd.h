// SPDX-License-Identifier: GPL-2.0-only
// What hundreds of services tell at once, at a boot or a drain, in a few lines: the journal is small, and what was told
// before is not to be lost to it. Pure.
//
// Of each kind of event, whichever service it is of, the first few are let through at once. After that one is in a
// while, which stands for all since the last one: it counts the services, names the first ones, and is no single
// service's any more (Event::service ""). One that stands for a single service stays as it was.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/daemon/folding.h"

namespace viscum {

class Crowd {
public:
    explicit Crowd(Folding::Pace pace) : folding_(pace) {}

    /// As Folding has it; of events that are a service's.
    std::optional<Event> take(Event event, BootTime now);
    void remember(const std::string& kind, BootTime at) { folding_.remember("", kind, at); }
    std::vector<Event> due(BootTime now);
    [[nodiscard]] std::optional<BootTime> next_due() const { return folding_.next_due(); }
    std::vector<Event> all();

private:
    /// Whose events are held.
    struct Held {
        std::vector<std::string> first;
        std::set<std::string> names;
    };
    Event told(Event event);
    std::vector<Event> told(std::vector<Event> events);

    Folding folding_;  // by kind alone
    std::map<std::string, Held> held_;
};

/// What was told at once: of more than `most` events of a kind with the same words one is made.
std::vector<Event> gather(const std::vector<Event>& events, std::size_t most);

}  // namespace viscum
