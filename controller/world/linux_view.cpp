// SPDX-License-Identifier: GPL-2.0-only
// What LinuxWorld reads for others: sockets, rules as they stand, flows, networks and counters. Nothing here writes a
// rule.
#include <algorithm>

#include "base/text.h"
#include "controller/world/linux_world.h"
#include "netns/conntrack.h"
#include "netns/sock_diag.h"
#include "tcprog/counters.h"

namespace viscum {
namespace {

constexpr std::size_t kTrackedFlows = 4096;

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

Admission LinuxWorld::admission_in_kernel(const Claim& claim) const {
    const auto index = rules_.index_of(rule_key(claim));
    const auto rule = index ? datapath_->rules.find(*index) : std::nullopt;
    return rule ? static_cast<Admission>(rule->admission) : Admission::off;
}

std::optional<int> LinuxWorld::active_in_kernel(const Claim& claim) const {
    const auto index = rules_.index_of(rule_key(claim));
    const auto rule = index ? datapath_->rules.find(*index) : std::nullopt;
    return rule ? std::optional<int>(rule->active & 1) : std::nullopt;
}

Status LinuxWorld::keep_tracked_flows(const std::vector<Claim>& claims) {
    std::vector<IpPrefix> destinations;
    for (const auto& claim : claims) {
        if (claim.protocol == Protocol::udp) {
            destinations.push_back(claim.prefix);
        }
    }
    if (destinations.empty()) {
        return {};
    }
    const auto tracked = tracked_udp_flows(destinations, kTrackedFlows);
    if (!tracked) {
        return tracked.error();
    }
    std::vector<CloudFlow> flows;
    for (const auto& flow : *tracked) {
        const bool claimed = std::any_of(claims.begin(), claims.end(), [&](const Claim& claim) {
            return claim.protocol == Protocol::udp && claim.prefix.contains(flow.destination) &&
                   claim.ports.first <= flow.destination_port && flow.destination_port <= claim.ports.last;
        });
        if (claimed) {
            flows.push_back({flow.source, flow.destination, flow.source_port, flow.destination_port});
        }
    }
    return rules_.keep_with_cloud(flows);
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

ClaimCounters LinuxWorld::counters(const Claim& claim) {
    ClaimCounters out;
    const auto index = rules_.index_of(rule_key(claim));
    if (!index) {
        return out;
    }
    const auto counted = read_counters(*datapath_, *index);
    if (!counted) {
        return out;
    }
    out.flows = counted->flows;
    out.packets_in = counted->packets_in;
    out.bytes_in = counted->bytes_in;
    out.packets_out = counted->packets_out;
    out.bytes_out = counted->bytes_out;
    out.flows_cloud = counted->flows_cloud;
    for (std::size_t reason = 0; reason < counted->cloud.size(); ++reason) {
        if (counted->cloud[reason] != 0) {
            out.cloud.emplace_back(reason_name(reason), counted->cloud[reason]);
        }
    }
    return out;
}

std::vector<std::pair<std::string, std::uint64_t>> LinuxWorld::verdicts() {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    if (const auto verdicts = read_verdicts(*datapath_)) {
        for (std::size_t i = 0; i < verdicts->size(); ++i) {
            if ((*verdicts)[i] != 0) {
                out.emplace_back(verdict_name(i), (*verdicts)[i]);
            }
        }
    }
    return out;
}

}  // namespace viscum
