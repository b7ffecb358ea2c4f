// SPDX-License-Identifier: GPL-2.0-only
// What LinuxWorld reads for others: sockets, rules as they stand, and networks. Nothing here writes a rule.
#include <algorithm>

#include "base/text.h"
#include "controller/world/linux_world.h"
#include "netns/sock_diag.h"

namespace viscum {
namespace {

constexpr std::size_t kMostOpenFlows = 4096;  // of a backend

}  // namespace

Result<std::uint32_t> LinuxWorld::open_connections(const BackendKey& key) {
    const NetNs* ns = net_ns(key);
    if (ns == nullptr) {
        return Error{ENOENT, cat(key.text(), " has no namespace to look into")};
    }
    // Without an egress a claim may hold these ports, and nothing else comes of them.
    const bool begins = backends_.at(key).actual.egress.has_value();
    const SockDiag::Ports own =
        begins ? SockDiag::Ports{EgressSpec::kOwnPorts.first, EgressSpec::kOwnPorts.last} : SockDiag::Ports{};
    std::uint32_t count = 0;
    const auto status = ns->inside([&]() -> Status {
        const auto diag = SockDiag::open();
        if (!diag) {
            return diag.error();
        }
        const auto open = diag->open_connections(own);
        if (!open) {
            return open.error();
        }
        count = *open;
        return {};
    });
    if (!status) {
        return status.error();
    }
    return count;
}

/// Those of the claims, among what a backend serves.
Result<std::vector<SockDiag::Connection>> LinuxWorld::open_flows(const NetNs& ns, const std::vector<Claim>& claims) {
    Result<std::vector<SockDiag::Connection>> open = Error{};
    const auto status = ns.inside([&open]() -> Status {
        const auto diag = SockDiag::open();
        if (!diag) {
            return diag.error();
        }
        open = diag->list_connections(kMostOpenFlows);
        return {};
    });
    if (!status) {
        return status.error();
    }
    if (open) {
        std::erase_if(*open, [&claims](const SockDiag::Connection& connection) {
            const auto& here = connection.here;
            return std::none_of(claims.begin(), claims.end(), [&here](const Claim& claim) {
                return claim.protocol == Protocol::tcp && claim.prefix.contains(here.address) &&
                       claim.ports.first <= here.port && here.port <= claim.ports.last;
            });
        });
    }
    return open;
}

Status LinuxWorld::keep_open_flows(const std::vector<WantedRule>& rules) {
    if (!grade_->needs_open_flows()) {
        return {};
    }
    flows_kept_at_ = boot_now();
    for (const auto& [key, backend] : backends_) {
        std::vector<Claim> led_away;
        for (const auto& rule : rules) {
            const bool may_own = rule.service == key.service && rule.backend[static_cast<std::size_t>(key.slot)];
            if (may_own && (rule.admission != Admission::serve || rule.active != key.slot)) {
                led_away.push_back(rule.claim);
            }
        }
        if (number(backend.link.device) == 0 || !backend.net_ns) {
            continue;
        }
        const auto flows =
            led_away.empty() ? std::vector<SockDiag::Connection>() : open_flows(*backend.net_ns, led_away);
        if (!flows) {
            return flows.error();
        }
        if (auto status = grade_->keep_open_flows(backend.link.device, *flows); !status) {
            return status;
        }
    }
    return {};
}

Admission LinuxWorld::admission_in_kernel(const Claim& claim) const {
    const auto standing = grade_->standing(claim);
    return standing ? standing->admission : Admission::off;
}

std::optional<int> LinuxWorld::active_in_kernel(const Claim& claim) const {
    const auto standing = grade_->standing(claim);
    return standing ? std::optional<int>(standing->active) : std::nullopt;
}

Result<std::vector<IpPrefix>> LinuxWorld::own_networks() {
    const auto addresses = list_addresses(socket_);
    if (!addresses) {
        return addresses.error();
    }
    std::vector<IpPrefix> networks;
    for (const auto& item : *addresses) {
        networks.push_back(IpPrefix::around(item.address, item.length));
    }
    return networks;
}

}  // namespace viscum
