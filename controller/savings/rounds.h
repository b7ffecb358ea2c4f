// SPDX-License-Identifier: GPL-2.0-only
// Whose cloud is asked when: each at most once in a quarter of an hour, and never two at once. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/ip.h"
#include "controller/spec/service_spec.h"

namespace viscum {

struct CloudTarget {
    IpAddress address;
    std::uint16_t port = 0;
    bool operator==(const CloudTarget&) const = default;
};

/// What of a service's claims can be asked by a handshake: single addresses and ports of TCP. None of a service whose
/// traffic may not leave the site.
std::vector<CloudTarget> cloud_targets(const ServiceSpec& spec);

class Rounds {
public:
    static constexpr std::chrono::minutes kInterval{15};
    static constexpr std::chrono::minutes kJitter{3};  // beyond it, by the dice
    static constexpr std::chrono::seconds kFirst{15};  // at most, from when it is served on

    struct Served {
        std::string service;
        std::vector<CloudTarget> targets;
    };
    struct Choice {
        std::string service;
        CloudTarget target;
    };
    /// Whom to ask now, which then counts as asked; nullopt: nobody. `dice` is from 0 to 1. A service that is served no
    /// more is not asked, and keeps its time.
    std::optional<Choice> next(const std::vector<Served>& served, BootTime now, double dice);

private:
    struct Turn {
        BootTime due{};
        std::size_t asked = 0;
    };
    std::map<std::string, Turn> turns_;
};

}  // namespace viscum
