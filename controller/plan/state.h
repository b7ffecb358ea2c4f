// SPDX-License-Identifier: GPL-2.0-only
// What is wanted and what is, as values that share no field. Pure: no I/O, no clock.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/admission.h"
#include "base/ip.h"
#include "controller/spec/service_spec.h"

namespace viscum {

/// One version of a service in the kernel. Two slots stand side by side during an update.
struct BackendKey {
    std::string service;
    int slot = 0;
    auto operator<=>(const BackendKey&) const = default;
    /// "plates" or "plates.1".
    [[nodiscard]] std::string text() const;
};

/// What a backend may begin, and what stands for its addresses on the router's side of its link.
struct WantedEgress {
    EgressSpec allowed;
    std::optional<IpAddress> alias_v4, alias_v6;           // of the preferred sources
    std::vector<std::pair<IpAddress, IpAddress>> origins;  // owned address, and what stands for it in the cloud
    bool operator==(const WantedEgress&) const = default;
};

struct WantedBackend {
    std::vector<Claim> claims;
    std::vector<IpAddress> addresses;  // owned singly; the first of a family is the preferred source
    std::vector<IpPrefix> prefixes;    // owned as local routes
    std::optional<WantedEgress> egress;
    bool process = false;
    bool operator==(const WantedBackend&) const = default;
};

struct ActualBackend {
    bool net_ns = false;
    bool link = false;                   // ours, with its other end in the namespace
    bool addresses = false;              // as last written, and no news since
    bool fence = false;                  // our filter on the router's end
    std::optional<WantedEgress> egress;  // as last written, and still in place
    bool process = false;
    bool operator==(const ActualBackend&) const = default;
};

/// A rule by what it stands for; the world knows the numbers.
struct WantedRule {
    Claim claim;
    std::string service;
    std::array<bool, 2> backend{};  // the slots that may own flows of this claim
    int active = 0;                 // the one that gets new flows
    Admission admission = Admission::off;
    bool closed = false;   // on_failure: drop
    bool several = false;  // its namespace owns several addresses of this family
    bool operator==(const WantedRule&) const = default;
};

struct Wanted {
    std::map<BackendKey, WantedBackend> backends;
    std::vector<WantedRule> rules;
    std::set<std::string> lan;  // devices that carry our filter
    bool masquerade = false;    // our nftables table
    bool operator==(const Wanted&) const = default;
};

struct Actual {
    std::map<BackendKey, ActualBackend> backends;
    std::optional<std::vector<WantedRule>> rules;  // as last written; nullopt: not known
    std::map<std::string, bool> lan;               // devices that there are: our filter is on them
    bool masquerade = false;
    std::set<std::string> unprepared_lan;  // devices of `lan:` that nobody has made ready for filters yet
};

/// What a service's claims make its namespace own. Several claims of one address are one; a prefix's first address is
/// owned singly, too, where nothing else of its family is: replies need a source.
WantedBackend owned_by(const ServiceSpec& spec);

/// Whether a family has more than one address in the namespace, so that a UDP reply may leave from the wrong one.
bool owns_several(const WantedBackend& owned, bool v4);

}  // namespace viscum
