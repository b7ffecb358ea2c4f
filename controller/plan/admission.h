// SPDX-License-Identifier: GPL-2.0-only
// What a service's rules admit. Pure; the one place where that is decided.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "controller/plan/state.h"

namespace viscum {

/// What counts of one run. The daemon's view of a run is larger; this is all that admission depends on.
struct RunView {
    const ServiceSpec* spec = nullptr;
    bool has_link = false;  // its link has a number
    bool was_up = false;    // it may have flows: it was healthy once
    bool alive = false;     // its process lives
    bool healthy = false;
    bool held_down = false;  // it flaps
    bool stopping = false;
};

struct ServiceView {
    std::string name;
    std::array<std::optional<RunView>, 2> runs;
    int primary = 0;       // the slot that is to get new flows
    bool drained = false;  // by the operator
    WallTime now{};        // the time of day
};

/// Whether the claim has ended (`until`). What counts is the clock as it is: one that is set back brings it back.
bool has_ended(const ServiceSpec& spec, const Claim& claim, WallTime now);

/// When the next of its claims ends; WallTime::max(): none will.
WallTime next_end(const ServiceSpec& spec, WallTime now);

/// When the last of its claims ended; nullopt: one has not.
std::optional<WallTime> all_ended(const ServiceSpec& spec, WallTime now);

/// "ended at 2026-12-31T23:59:00Z: new flows go to the cloud", or how many of its claims; empty: none.
std::string describe_ended(const ServiceSpec& spec, WallTime now);

/// `drained`: by the operator, or as the claim is over.
Admission admission_of(const RunView& run, bool drained, Protocol protocol);

/// One rule per claim that any of the service's runs has.
std::vector<WantedRule> rules_of(const ServiceView& service);

}  // namespace viscum
