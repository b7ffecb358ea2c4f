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
};

Admission admission_of(const RunView& run, bool drained, Protocol protocol);

/// One rule per claim that any of the service's runs has.
std::vector<WantedRule> rules_of(const ServiceView& service);

}  // namespace viscum
