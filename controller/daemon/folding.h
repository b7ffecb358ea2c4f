// SPDX-License-Identifier: GPL-2.0-only
// How much of what happens is written: flash wears, and a service that flaps tells the same story for hours. Pure.
//
// Of each kind of event of each service the first few are let through at once. After that one is in a while, which
// stands for all since the last one: its words and its time are the last one's, with how many there were.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "controller/ipc/event.h"

namespace viscum {

class Folding {
public:
    /// How many are let through at once, and how long it takes until one more is.
    struct Pace {
        int burst = 4;
        Millis every{600'000};
    };
    explicit Folding(Pace pace) : pace_(pace) {}

    /// The event as it is to be written now; nullopt: it is held back, until due() or all() has it.
    std::optional<Event> take(Event event, BootTime now);
    /// One that was written before this object was made, at `at`, counts as one that take() let through.
    void remember(const std::string& service, const std::string& kind, BootTime at);
    /// One that was held back before: it is now. What is held of its kind is forgotten.
    void hold(Event event);
    /// What is held back of a kind; nullptr: nothing.
    [[nodiscard]] const Event* held(const std::string& service, const std::string& kind) const;
    /// What was held back and may be written now.
    std::vector<Event> due(BootTime now);
    /// When due() has something; nullopt: nothing is held back.
    [[nodiscard]] std::optional<BootTime> next_due() const;
    /// What is held back, whatever its time: before the end.
    std::vector<Event> all();

private:
    struct Told {
        BootTime full_at{};           // then as many as at first may be written at once
        std::optional<Event> held{};  // times: how many
    };
    [[nodiscard]] bool allows(const Told& told, BootTime now) const;
    void charge(Told& told, BootTime now) const;

    Pace pace_;
    std::map<std::pair<std::string, std::string>, Told> told_;  // by service and kind; one that is full is forgotten
};

}  // namespace viscum
