// SPDX-License-Identifier: GPL-2.0-only
#include "controller/plan/plan.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace viscum {
namespace {

using Kind = Step::Kind;

void plan_coming(const BackendKey& key, const WantedBackend& wanted, const ActualBackend& actual,
                 std::vector<Step>& steps) {
    // Each makes the ones after it necessary: a link in a new namespace is a new link.
    const bool net_ns = actual.net_ns;
    const bool link = net_ns && actual.link;
    if (!net_ns) {
        steps.push_back({Kind::make_net_ns, key, {}});
    }
    if (!link) {
        steps.push_back({Kind::make_link, key, {}});
    }
    if (!link || !actual.addresses) {
        steps.push_back({Kind::set_addresses, key, {}});
    }
    if (!link || !actual.fence) {
        steps.push_back({Kind::attach_fence, key, {}});
    }
    if (wanted.egress != (link ? actual.egress : std::nullopt)) {
        steps.push_back({Kind::set_egress, key, {}});
    }
    if (wanted.process && !actual.process) {
        steps.push_back({Kind::launch, key, {}});
    }
}

void plan_going(const BackendKey& key, const ActualBackend& actual, std::vector<Step>& steps) {
    if (actual.process) {
        steps.push_back({Kind::end_process, key, {}});
    }
    if (actual.link) {
        steps.push_back({Kind::remove_link, key, {}});
    }
    if (actual.net_ns) {
        steps.push_back({Kind::remove_net_ns, key, {}});
    }
}

}  // namespace

std::string BackendKey::text() const {
    return slot == 0 ? service : cat(service, '.', slot);
}

std::string Step::text() const {
    switch (kind) {
        case Kind::prepare_lan: return cat("add clsact to ", device);
        case Kind::make_net_ns: return cat("make namespace for ", backend.text());
        case Kind::make_link: return cat("make link for ", backend.text());
        case Kind::set_addresses: return cat("set addresses of ", backend.text());
        case Kind::attach_fence: return cat("attach fence of ", backend.text());
        case Kind::set_egress: return cat("set egress of ", backend.text());
        case Kind::make_masquerade: return "make masquerade";
        case Kind::remove_masquerade: return "remove masquerade";
        case Kind::launch: return cat("launch ", backend.text());
        case Kind::write_rules: return "write rules";
        case Kind::attach_lan: return cat("attach filter to ", device);
        case Kind::detach_lan: return cat("detach filter from ", device);
        case Kind::end_process: return cat("end ", backend.text());
        case Kind::remove_link: return cat("remove link of ", backend.text());
        case Kind::remove_net_ns: return cat("remove namespace of ", backend.text());
    }
    return {};
}

std::vector<Step> make_plan(const Wanted& wanted, const Actual& actual) {
    std::vector<Step> steps;
    for (const auto& device : actual.unprepared_lan) {
        steps.push_back({Kind::prepare_lan, {}, device});
    }
    // A rule that gives up its traffic waits for nothing; one that is new is off until its service is healthy.
    if (actual.rules != wanted.rules) {
        steps.push_back({Kind::write_rules, {}, {}});
    }
    for (const auto& [device, attached] : actual.lan) {
        if (wanted.lan.contains(device) && !attached) {
            steps.push_back({Kind::attach_lan, {}, device});
        }
        if (!wanted.lan.contains(device) && attached) {
            steps.push_back({Kind::detach_lan, {}, device});
        }
    }
    if (wanted.masquerade && !actual.masquerade) {
        steps.push_back({Kind::make_masquerade, {}, {}});
    }
    // Side by side, as both are sorted: there may be a thousand, and this runs at every turn in which something
    // changed.
    std::vector<Step> going;
    auto present = actual.backends.begin();
    const auto pass_unwanted = [&](const BackendKey* until) {
        while (present != actual.backends.end() && (until == nullptr || present->first < *until)) {
            plan_going(present->first, present->second, going);
            ++present;
        }
    };
    for (const auto& [key, backend] : wanted.backends) {
        pass_unwanted(&key);
        const bool there = present != actual.backends.end() && present->first == key;
        plan_coming(key, backend, there ? present->second : ActualBackend{}, steps);
        present = there ? std::next(present) : present;
    }
    pass_unwanted(nullptr);
    steps.insert(steps.end(), going.begin(), going.end());
    if (!wanted.masquerade && actual.masquerade) {
        steps.push_back({Kind::remove_masquerade, {}, {}});
    }
    return steps;
}

std::vector<std::string> describe(const std::vector<Step>& plan) {
    std::vector<std::string> lines;
    lines.reserve(plan.size());
    for (const auto& step : plan) {
        lines.push_back(step.text());
    }
    return lines;
}

WantedBackend owned_by(const ServiceSpec& spec) {
    WantedBackend owned;
    owned.claims = spec.intercept;
    const auto add = [](auto& list, const auto& item) {
        if (std::find(list.begin(), list.end(), item) == list.end()) {
            list.push_back(item);
        }
    };
    for (const auto& claim : spec.intercept) {
        if (claim.prefix.is_single()) {
            add(owned.addresses, claim.prefix.address);
        } else {
            add(owned.prefixes, claim.prefix);
        }
    }
    for (const auto& prefix : owned.prefixes) {
        const bool v4 = prefix.address.is_v4();
        if (std::none_of(owned.addresses.begin(), owned.addresses.end(),
                         [v4](const auto& a) { return a.is_v4() == v4; })) {
            owned.addresses.push_back(prefix.address);
        }
    }
    return owned;
}

bool owns_several(const WantedBackend& owned, bool v4) {
    const auto of_family = [v4](const auto& address) { return address.is_v4() == v4; };
    return std::count_if(owned.addresses.begin(), owned.addresses.end(), of_family) > 1 ||
           std::any_of(owned.prefixes.begin(), owned.prefixes.end(),
                       [v4](const auto& p) { return p.address.is_v4() == v4; });
}

}  // namespace viscum
