// SPDX-License-Identifier: GPL-2.0-only
// What comes from clients: the verdict table.
#include <algorithm>

#include "tests/faults/model/verdict_model.h"

namespace viscum {
namespace {

ModelFlowKey flow_key(const FlowEnds& ends) {
    return {ends.source, ends.destination, ends.source_port, ends.destination_port, ends.protocol};
}

}  // namespace

Expectation VerdictModel::lan(const Packet& packet) {
    const PacketReading& reading = packet.reading;
    if (is_for_others(packet.step.frame)) {
        return expect(packet, VS_UNCLAIMED, Action::pass);
    }
    if (reading.unread) {
        return expect(packet, *reading.unread, Action::pass);
    }
    if (reading.later_fragment) {
        return lan_fragment(packet);
    }
    if (reading.icmp) {
        return lan_icmp(packet);
    }
    const auto found = find_rule(reading.ends.destination, reading.ends.destination_port, reading.ends.protocol);
    if (!found) {
        return expect(packet, VS_UNCLAIMED, Action::pass);
    }
    if (!is_for_router(packet.step.frame)) {
        return expect(packet, VS_OTHER_HOST, Action::pass);
    }
    const Rule& rule = world_.rules[*found];
    ModelCounters& counters = counters_[*found];
    const Decision decision = reading.tcp() ? decide_tcp(packet, *found) : decide_udp(packet, *found);
    if (reading.first_fragment) {
        if (decision.slot || rule.closed) {
            from_clients_[fragment_key(reading)] = {*found, decision.slot, {}};
        } else {
            from_clients_.erase(fragment_key(reading));
        }
    }
    if (!decision.slot) {
        counters.cloud[std::size_t{decision.refusal} - VS_REASON_FIRST] += 1;
        if (decision.is_new && !rule.closed) {
            counters.flows_cloud += 1;
        }
        return rule.closed ? expect(packet, VS_CLOSED, Action::drop) : expect(packet, decision.refusal, Action::pass);
    }
    counters.flows += decision.is_new ? 1 : 0;
    counters.packets_in += packet.segments;
    counters.bytes_in += packet.bytes;
    if (reading.udp() && rule.several_addresses) {
        const auto link = link_of(rule.backend[static_cast<std::size_t>(*decision.slot)]);
        asked_[{reading.ends.source, reading.ends.source_port, reading.ends.destination_port, *link}] =
            reading.ends.destination;
    }
    return into_namespace(packet, VS_SERVED);
}

std::optional<vs_verdict> VerdictModel::against_new(const Rule& rule) const {
    switch (rule.admission) {
        case Admission::off: return VS_NOT_ADMITTED;
        case Admission::drain: return VS_DRAINING;
        case Admission::serve: break;
    }
    return world_.lease ? std::nullopt : std::optional(VS_LEASE_EXPIRED);
}

VerdictModel::Decision VerdictModel::decide_segment(const Packet& packet, const Rule& rule, bool cookies) const {
    for (const int slot : {rule.active & 1, 1 - (rule.active & 1)}) {
        const auto link = link_of(rule.backend[static_cast<std::size_t>(slot)]);
        if (!link) {
            continue;
        }
        const Found found = find_tcp(*link, packet.reading.ends);
        if (found == Found::flow || found == Found::time_wait ||
            (found == Found::listener && cookies && finishes_cookie(*link, packet.reading))) {
            return {slot, VS_CLOUD_FLOW, false};
        }
    }
    return {std::nullopt, VS_CLOUD_FLOW, false};
}

VerdictModel::Decision VerdictModel::decide_tcp(const Packet& packet, std::size_t rule_number) {
    const Rule& rule = world_.rules[rule_number];
    const FlowEnds& ends = packet.reading.ends;
    const auto time_wait_in = [&](const Decision& decision) {
        return decision.slot &&
               find_tcp(*link_of(rule.backend[static_cast<std::size_t>(*decision.slot)]), ends) == Found::time_wait;
    };
    if (!packet.reading.begins_connection()) {
        if (rule.admission == Admission::off) {
            return {std::nullopt, VS_NOT_ADMITTED, false};
        }
        const Decision decision = decide_segment(packet, rule, true);
        const auto known = flows_.find(flow_key(ends));
        // A younger connection with the cloud may have the 4-tuple of one that has ended here (ADR 4).
        const bool clouds = known != flows_.end() && known->second.owner == VS_CLOUD;
        return time_wait_in(decision) && clouds ? Decision{std::nullopt, VS_CLOUD_FLOW, false} : decision;
    }
    const int active = rule.active & 1;
    const auto link = link_of(rule.backend[static_cast<std::size_t>(active)]);
    auto refusal = against_new(rule);
    if (!refusal && !(link && has_listener(*link, ends.destination, ends.destination_port))) {
        refusal = VS_NO_LISTENER;
    }
    const int beside = 1 - active;
    const auto other = link_of(rule.backend[static_cast<std::size_t>(beside)]);
    if (!refusal && other && find_tcp(*other, ends) == Found::flow) {
        return {beside, VS_SERVED, false};  // once more, of a connection that the version beside it has
    }
    if (!refusal) {
        flows_.erase(flow_key(ends));
        return {active, VS_SERVED, true};
    }
    const Decision running = decide_segment(packet, rule, false);
    if (time_wait_in(running)) {
        flows_[flow_key(ends)] = {VS_CLOUD, rule_number, 0};
    } else if (running.slot && rule.admission != Admission::off) {
        return running;  // the SYN of a connection under way, once more
    }
    return {std::nullopt, *refusal, true};
}

VerdictModel::Decision VerdictModel::decide_udp(const Packet& packet, std::size_t rule_number) {
    const Rule& rule = world_.rules[rule_number];
    const FlowEnds& ends = packet.reading.ends;
    const int active = rule.active & 1;
    const auto bound = [&](int slot) {
        const auto link = link_of(rule.backend[static_cast<std::size_t>(slot)]);
        return link && has_datagram(*link, ends, false);
    };
    const auto known = flows_.find(flow_key(ends));
    if (known == flows_.end() || (known->second.owner == VS_CLOUD && rule.closed)) {
        auto refusal = against_new(rule);
        if (!refusal && !bound(active)) {
            refusal = VS_NO_LISTENER;
        }
        flows_[flow_key(ends)] = {refusal ? VS_CLOUD : VS_LOCAL, rule_number, active};
        return refusal ? Decision{std::nullopt, *refusal, true} : Decision{active, VS_SERVED, true};
    }
    ModelFlow& flow = known->second;
    if (flow.owner == VS_CLOUD) {
        return {std::nullopt, VS_CLOUD_FLOW, false};
    }
    if (rule.admission == Admission::off) {
        flow.owner = VS_CLOUD;
        return {std::nullopt, VS_NOT_ADMITTED, false};
    }
    if (!bound(flow.slot)) {
        // The version that served it has finished: the next one goes on.
        if (flow.slot == active || against_new(rule) || !bound(active)) {
            flow.owner = VS_CLOUD;
            return {std::nullopt, VS_NO_LISTENER, false};
        }
        flow.slot = active;
    }
    flow.rule = rule_number;
    return {flow.slot, VS_SERVED, false};
}

Expectation VerdictModel::lan_fragment(const Packet& packet) {
    const auto first = from_clients_.find(fragment_key(packet.reading));
    if (first == from_clients_.end() || !is_for_router(packet.step.frame)) {
        return expect(packet, VS_FRAGMENT, Action::pass);
    }
    if (!first->second.slot) {
        return expect(packet, VS_CLOSED, Action::drop);
    }
    const Rule& rule = world_.rules[first->second.rule];
    if (!link_of(rule.backend[static_cast<std::size_t>(*first->second.slot)])) {
        return expect(packet, VS_FRAGMENT, Action::pass);
    }
    counters_[first->second.rule].packets_in += packet.segments;
    counters_[first->second.rule].bytes_in += packet.bytes;
    return into_namespace(packet, VS_SERVED);
}

Expectation VerdictModel::lan_icmp(const Packet& packet) {
    const PacketReading& reading = packet.reading;
    // It must come to whom the quoted packet came from.
    if (!reading.quoted || reading.quoted->source != reading.ends.destination) {
        return expect(packet, VS_UNCLAIMED, Action::pass);
    }
    const FlowEnds flow = reading.quoted->turned();
    const auto found = find_rule(flow.destination, flow.destination_port, flow.protocol);
    if (!found || world_.rules[*found].admission == Admission::off) {
        return expect(packet, VS_UNCLAIMED, Action::pass);
    }
    if (!is_for_router(packet.step.frame)) {
        return expect(packet, VS_OTHER_HOST, Action::pass);
    }
    const Rule& rule = world_.rules[*found];
    std::optional<int> slot;
    if (flow.protocol == IPPROTO_TCP) {
        Packet answer{packet.step, {}};
        answer.reading.ends = flow;
        slot = decide_segment(answer, rule, false).slot;
    } else {
        const auto known = flows_.find(flow_key(flow));
        if (known != flows_.end() && known->second.owner == VS_LOCAL) {
            slot = known->second.slot;
        }
    }
    if (!slot || !link_of(rule.backend[static_cast<std::size_t>(*slot)])) {
        return expect(packet, VS_CLOUD_FLOW, Action::pass);
    }
    return into_namespace(packet, VS_ICMP_SERVED);
}

/// Where a family has no claim of a prefix, frames for an address whose bit of the filter no claim has set are not read
/// any further. Which addresses share a bit is the ABI's.
bool VerdictModel::is_for_others(const Bytes& frame) const {
    const auto destination = read_destination(frame);
    if (!destination) {
        return false;
    }
    const vs_addr asked = abi_address(destination->address);
    return std::ranges::none_of(world_.rules, [&](const Rule& rule) {
        const IpPrefix& prefix = rule.key.prefix;
        const vs_addr claimed = abi_address(prefix.address);
        return prefix.is_single() ? vs_filter_bit(&claimed) == vs_filter_bit(&asked)
                                  : prefix.address.is_v4() == destination->v4;
    });
}

bool VerdictModel::is_for_router(const Bytes& frame) const {
    MacAddress to{};
    std::copy_n(frame.begin(), to.size(), to.begin());
    const bool group = (to[0] & 1) != 0;
    return to == kRouterMac || (!group && world_.bridge == to);
}

Expectation VerdictModel::into_namespace(const Packet& packet, vs_verdict verdict) const {
    return expect(packet, verdict, Action::redirect);
}

}  // namespace viscum
