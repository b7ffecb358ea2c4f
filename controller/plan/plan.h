// SPDX-License-Identifier: GPL-2.0-only
// From what is wanted and what is: the ordered steps between them. Pure.
#pragma once

#include <string>
#include <vector>

#include "controller/plan/state.h"

namespace viscum {

struct Step {
    enum class Kind {
        prepare_lan,  // clsact, long before a filter: what a device sends while the kernel adds it is lost
        make_net_ns,
        make_link,
        set_addresses,
        attach_fence,
        set_egress,       // what it may begin: entry, routes, and the filter of the way back
        make_masquerade,  // for all of them
        launch,
        write_rules,  // all rules at once: the table writes only what differs
        attach_lan,
        detach_lan,
        end_process,
        remove_link,
        remove_net_ns,
        remove_masquerade,
    };
    Kind kind;
    BackendKey backend;  // of the steps that concern one
    std::string device;  // of the steps that concern a LAN device
    bool operator==(const Step&) const = default;
    /// "make namespace for plates"
    [[nodiscard]] std::string text() const;
};

/// Rules and filters first, so that traffic leaves what is about to go and is off for what is about to come. Then what
/// comes: namespace, link, addresses, fence, egress, process; its rules admit in a later plan, when it is healthy. Then
/// what goes: process, link, namespace. Nothing to do is an empty plan.
std::vector<Step> make_plan(const Wanted& wanted, const Actual& actual);

/// One line a step.
std::vector<std::string> describe(const std::vector<Step>& plan);

}  // namespace viscum
