// SPDX-License-Identifier: GPL-2.0-only
// What ClassicGrade knows of flows: those that have their place, and what the filters have counted.
#include <algorithm>

#include "controller/world/classic_grade.h"
#include "netns/conntrack.h"

namespace viscum {
namespace {

constexpr Millis kTidyEach{30'000};   // connection tracking may have tens of thousands of entries
constexpr Millis kCountersHold{100};  // of one report

Transport transport_of(const Claim& claim) {
    return claim.protocol == Protocol::tcp ? Transport::tcp : Transport::udp;
}

/// With the cloud.
KeptFlow kept_flow(const TrackedFlow& flow, Transport transport) {
    return {
        flow.source, flow.destination, flow.source_port, flow.destination_port, static_cast<std::uint8_t>(transport),
        IfIndex{}};
}

}  // namespace

Status ClassicGrade::keep_open_flows(IfIndex link, const std::vector<SockDiag::Connection>& flows) {
    std::vector<KeptFlow> kept;
    for (const auto& [here, there] : flows) {
        kept.push_back({there.address, here.address, there.port, here.port, IPPROTO_TCP, link});
    }
    return kept_.replace(link, std::move(kept)) ? apply_all() : Status{};
}

Result<bool> ClassicGrade::find_cloud_flows(const std::vector<Claim>& claims) {
    std::vector<IpPrefix> destinations;
    for (const Claim& claim : claims) {
        destinations.push_back(claim.prefix);
    }
    // Where there is no room for all: first those that have their place, then those to which the cloud has answered.
    std::vector<KeptFlow> flows = kept_.of(IfIndex{});
    std::vector<KeptFlow> unanswered;
    for (const Transport transport : {Transport::tcp, Transport::udp}) {
        const auto tracked = tracked_flows(transport, destinations, SIZE_MAX);
        if (!tracked) {
            return tracked.error();
        }
        for (const TrackedFlow& flow : *tracked) {
            const bool claimed = std::any_of(claims.begin(), claims.end(), [&](const Claim& claim) {
                return transport_of(claim) == transport && claim.prefix.contains(flow.destination) &&
                       claim.ports.first <= flow.destination_port && flow.destination_port <= claim.ports.last;
            });
            if (claimed) {
                (flow.answered ? flows : unanswered).push_back(kept_flow(flow, transport));
            }
        }
    }
    flows.insert(flows.end(), unanswered.begin(), unanswered.end());
    return kept_.replace(IfIndex{}, std::move(flows));
}

const std::vector<StandingFilter>& ClassicGrade::standing_filters() {
    if (boot_now() - counted_at_ < kCountersHold && counted_at_ != BootTime{}) {
        return counted_;
    }
    std::vector<StandingFilter> found;
    counters_known_ = true;
    std::set<IfIndex> devices = attached_;
    for (const auto& [link, wanted] : fences_) {
        devices.insert(link);
    }
    for (const IfIndex device : devices) {
        auto standing = list_u32(socket_, device, mark_);
        if (!standing) {
            counters_known_ = false;
            break;
        }
        std::move(standing->begin(), standing->end(), std::back_inserter(found));
    }
    if (counters_known_) {
        counted_ = std::move(found);
    }
    counted_at_ = boot_now();
    return counted_;
}

ClaimCounters ClassicGrade::counters(const Claim& claim) {
    ClaimCounters out;
    const auto& filters = standing_filters();
    out.known = counters_known_;
    for (const StandingFilter& one : filters) {
        if (one.filter.target == kNowhere || one.filter.action == U32Action::leave ||
            !is_of(one.filter, steered_claim(claim, 0))) {
            continue;
        }
        (serves(one.filter) ? out.packets_in : out.packets_out) += one.packets;
        (serves(one.filter) ? out.bytes_in : out.bytes_out) += one.bytes;
    }
    return out;
}

std::vector<std::pair<std::string, std::uint64_t>> ClassicGrade::verdicts() {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    if (kept_.not_kept() != 0) {
        out.emplace_back("not-kept", kept_.not_kept());
    }
    return out;
}

/// Flows of the cloud's that connection tracking has forgotten, or to which the cloud has not answered, need no filter
/// any more.
void ClassicGrade::tidy() {
    const auto of_cloud = kept_.of(IfIndex{});
    if (of_cloud.empty() || boot_now() - tidied_ < kTidyEach) {
        return;
    }
    tidied_ = boot_now();
    std::vector<IpPrefix> destinations;
    for (const KeptFlow& flow : of_cloud) {
        destinations.push_back({flow.service, flow.service.width()});
    }
    std::sort(destinations.begin(), destinations.end());
    destinations.erase(std::unique(destinations.begin(), destinations.end()), destinations.end());
    std::vector<KeptFlow> flows;
    for (const Transport transport : {Transport::tcp, Transport::udp}) {
        const auto tracked = tracked_flows(transport, destinations, SIZE_MAX);
        if (!tracked) {
            return;  // what cannot be seen stays
        }
        for (const TrackedFlow& flow : *tracked) {
            const KeptFlow same = kept_flow(flow, transport);
            if (flow.answered && std::binary_search(of_cloud.begin(), of_cloud.end(), same)) {
                flows.push_back(same);
            }
        }
    }
    if (kept_.replace(IfIndex{}, std::move(flows))) {
        [[maybe_unused]] const auto status = apply_all();  // the next look sees what is missing
    }
}

}  // namespace viscum
