// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/check.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::array<SpecialRange, 9> kNeverClaimable{{
    {"0.0.0.0/8", "an unspecified address"},
    {"127.0.0.0/8", "a loopback address"},
    {"169.254.0.0/16", "a link-local address"},
    {"224.0.0.0/4", "a multicast address"},
    {"255.255.255.255", "the broadcast address"},
    {"::", "the unspecified address"},
    {"::1", "the loopback address"},
    {"fe80::/10", "a link-local address"},
    {"ff00::/8", "a multicast address"},
}};

std::optional<std::string> never_claimable(const Claim& claim, const OwnNetworks& own, const AliasRange& aliases) {
    for (const auto& reserved : kNeverClaimable) {
        if (claim.prefix.overlaps(*IpPrefix::parse(reserved.prefix))) {
            return claim.prefix.is_single()
                       ? cat(claim.text(), " is ", reserved.what, ", which is never claimable")
                       : cat(claim.text(), " covers ", reserved.prefix, ", which is never claimable");
        }
    }
    for (const auto& network : own) {
        if (claim.prefix.overlaps(network)) {
            return cat(claim.text(), " overlaps ", network.text(),
                       ", a network of this router, which is never claimable");
        }
    }
    for (const auto& range : {aliases.v4, aliases.v6}) {
        if (claim.prefix.overlaps(range)) {
            return cat(claim.text(), " overlaps ", range.text(),
                       ", which 'aliases' of the router's configuration keeps for itself");
        }
    }
    return std::nullopt;
}

std::optional<std::string> not_permitted(const Claim& claim, const std::vector<ClaimableSpec>& claimable) {
    std::optional<std::string> near;
    for (const auto& entry : claimable) {
        if (!entry.prefix.contains(claim.prefix)) {
            continue;
        }
        if (entry.ports.first <= claim.ports.first && claim.ports.last <= entry.ports.last) {
            return std::nullopt;
        }
        near = cat(claim.text(), " is not within 'claimable' of the router's configuration: ", entry.prefix.text(),
                   " is claimable at port ", entry.ports.text(), " only");
    }
    return near ? near : cat(claim.text(), " is not within 'claimable' of the router's configuration");
}

std::vector<std::string> conflicts(const Claim& claim, const ServiceSpec& service,
                                   const std::vector<ServiceSpec>& others) {
    std::vector<std::string> found;
    for (const auto& other : others) {
        if (other.name == service.name) {
            continue;
        }
        const auto taken = std::find_if(other.intercept.begin(), other.intercept.end(), [&](const Claim& theirs) {
            return theirs.prefix == claim.prefix && theirs.protocol == claim.protocol &&
                   theirs.ports.overlaps(claim.ports);
        });
        if (taken != other.intercept.end()) {
            found.push_back(
                cat(claim.text(), " of '", service.name, "' conflicts with ", taken->text(), " of '", other.name, "'"));
        }
    }
    return found;
}

}  // namespace

const SpecialRange* special_range_around(const IpPrefix& prefix) {
    const auto found = std::find_if(kNeverClaimable.begin(), kNeverClaimable.end(), [&](const SpecialRange& range) {
        const auto whole = IpPrefix::parse(range.prefix);
        return whole && whole->contains(prefix);
    });
    return found == kNeverClaimable.end() ? nullptr : &*found;
}

std::vector<std::string> check_claims(const ServiceSpec& service, const RouterConfig& config, const OwnNetworks& own,
                                      const std::vector<ServiceSpec>& others) {
    std::vector<std::string> found;
    for (const auto& claim : service.intercept) {
        if (auto never = never_claimable(claim, own, config.aliases)) {
            found.push_back(*std::move(never));
        } else if (auto refused = not_permitted(claim, config.claimable)) {
            found.push_back(*std::move(refused));
        }
        for (auto& conflict : conflicts(claim, service, others)) {
            found.push_back(std::move(conflict));
        }
    }
    for (const auto& target : service.egress.targets) {
        for (const auto& range : {config.aliases.v4, config.aliases.v6}) {
            if (range.overlaps(target.prefix)) {
                found.push_back(cat("egress to ", target.text(), " overlaps ", range.text(),
                                    ", which 'aliases' of the router's configuration keeps for itself"));
            }
        }
    }
    return found;
}

}  // namespace viscum
