// SPDX-License-Identifier: GPL-2.0-only
// What ClassicGrade knows of flows: those that have their place, and what the filters have counted.
#include <algorithm>

#include "controller/world/classic_grade.h"
#include "netns/conntrack.h"

namespace viscum {
namespace {

constexpr Millis kTidyEach{30'000};   // connection tracking may have tens of thousands of entries
constexpr Millis kCountersHold{100};  // of one report

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
    std::vector<KeptFlow> flows = kept_.of(IfIndex{});
    for (const Transport transport : {Transport::tcp, Transport::udp}) {
        const auto tracked = tracked_flows(transport, destinations, KeptFlows::kMax);
        if (!tracked) {
            return tracked.error();
        }
        for (const TrackedFlow& flow : *tracked) {
            flows.push_back({flow.source, flow.destination, flow.source_port, flow.destination_port,
                             static_cast<std::uint8_t>(transport), IfIndex{}});
        }
    }
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
        if (one.filter.target == kNowhere || !is_of(one.filter, steered_claim(claim, 0))) {
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
    std::vector<KeptFlow> flows;
    for (const Transport transport : {Transport::tcp, Transport::udp}) {
        const auto tracked = tracked_flows(transport, destinations, SIZE_MAX);
        if (!tracked) {
            return;  // what cannot be seen stays
        }
        for (const KeptFlow& flow : of_cloud) {
            const TrackedFlow same{flow.client, flow.service, flow.client_port, flow.service_port, true};
            if (flow.protocol == static_cast<std::uint8_t>(transport) &&
                std::find(tracked->begin(), tracked->end(), same) != tracked->end()) {
                flows.push_back(flow);
            }
        }
    }
    if (kept_.replace(IfIndex{}, std::move(flows))) {
        [[maybe_unused]] const auto status = apply_all();  // the next look sees what is missing
    }
}

}  // namespace viscum
