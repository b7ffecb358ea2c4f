// SPDX-License-Identifier: GPL-2.0-only
// What a service sends: replies, flows of its own, and what is dropped.
#include <algorithm>

#include "tests/faults/model/model_routes.h"
#include "tests/faults/model/verdict_model.h"

namespace viscum {

Expectation VerdictModel::service(const Packet& packet) {
    const PacketReading& reading = packet.reading;
    if (reading.unread || (reading.icmp && !reading.later_fragment)) {
        return expect(packet, VS_FENCE_PROTOCOL, Action::drop);
    }
    return reading.later_fragment ? service_fragment(packet)
           : reading.tcp()        ? service_tcp(packet)
                                  : service_udp(packet);
}

Expectation VerdictModel::service_fragment(const Packet& packet) {
    const int link = packet.step.link;
    const auto key = fragment_key(packet.reading);
    if (const auto begun = begun_.find(key); begun != begun_.end() && begun->second == link) {
        return egress(packet, VS_FENCE_SOURCE);
    }
    const auto first = replies_.find(key);
    if (first == replies_.end() || !is_backend(world_.rules[first->second.rule], link)) {
        return expect(packet, VS_FENCE_SOURCE, Action::drop);
    }
    return reply(packet, first->second.rule, first->second.source);
}

Expectation VerdictModel::service_tcp(const Packet& packet) {
    const PacketReading& reading = packet.reading;
    const auto found = find_rule(reading.ends.source, reading.ends.source_port, reading.ends.protocol);
    if (!found || !is_backend(world_.rules[*found], packet.step.link)) {
        return egress(packet, VS_FENCE_SOURCE);
    }
    if (reading.begins_connection()) {
        return expect(packet, VS_FENCE_NEW_FLOW, Action::drop);
    }
    const bool reset = (reading.flags & kRst) != 0;
    if (reset && (reading.flags & kAck) != 0 && reading.sequence == 0) {
        return expect(packet, VS_FENCE_REFUSAL, Action::drop);
    }
    bool sent_by_socket = false;
    if (reset) {
        // It has often lost its socket. It carries nothing, behind the IP packet neither.
        sent_by_socket = packet.step.frame.size() == reading.transport_at + reading.tcp_header;
    } else {
        const Found socket = find_tcp(packet.step.link, reading.ends.turned());
        const bool cookie = socket == Found::listener && (reading.flags & kSyn) != 0;
        sent_by_socket = socket == Found::flow || socket == Found::time_wait || cookie;
    }
    if (!sent_by_socket) {
        return expect(packet, VS_FENCE_NEW_FLOW, Action::drop);
    }
    return reply(packet, *found, reading.ends.source);
}

Expectation VerdictModel::service_udp(const Packet& packet) {
    const FlowEnds& ends = packet.reading.ends;
    const auto answered = [&](const IpAddress& service) -> const ModelFlow* {
        const auto flow =
            flows_.find({ends.destination, service, ends.destination_port, ends.source_port, IPPROTO_UDP});
        return flow != flows_.end() && flow->second.owner == VS_LOCAL ? &flow->second : nullptr;
    };
    IpAddress source = ends.source;
    const ModelFlow* flow = answered(source);
    if (flow == nullptr) {
        const auto asked = asked_.find({ends.destination, ends.destination_port, ends.source_port, packet.step.link});
        if (asked != asked_.end()) {
            source = asked->second;
            flow = answered(source);
        }
    }
    if (flow == nullptr) {
        return egress(packet, VS_FENCE_NEW_FLOW);
    }
    if (!is_backend(world_.rules[flow->rule], packet.step.link)) {
        return egress(packet, VS_FENCE_SOURCE);
    }
    return reply(packet, flow->rule, source);
}

Expectation VerdictModel::reply(const Packet& packet, std::size_t rule, const IpAddress& source) {
    const PacketReading& reading = packet.reading;
    if (reading.first_fragment) {
        replies_[fragment_key(reading)] = {rule, packet.step.link, source};
        begun_.erase(fragment_key(reading));
    }
    const auto way = find_way(world_, source, reading.ends.destination);
    const auto dropped = [&](vs_verdict verdict) {
        Expectation out = expect(packet, verdict, Action::drop);
        if (source != reading.ends.source) {
            exchange_address(&out, reading, true, source);
        }
        return out;
    };
    counters_[rule].packets_out += packet.segments;
    counters_[rule].bytes_out += packet.bytes;
    if (!way) {
        return dropped(VS_FENCE_NO_ROUTE);
    }
    if (packet.segments == 1 && packet.bytes > way->mtu) {
        return dropped(VS_FENCE_TOO_LONG);
    }
    Expectation out = dropped(VS_REPLIED);
    out.action = Action::redirect;
    if (way->neighbour) {
        std::copy(way->neighbour->begin(), way->neighbour->end(), out.frame.begin());
        std::copy(kRouterMac.begin(), kRouterMac.end(), out.frame.begin() + 6);
    }
    return out;
}

std::optional<vs_verdict> VerdictModel::against_egress(const Packet& packet, const LinkEgress& entry) const {
    const PacketReading& reading = packet.reading;
    const FlowEnds& ends = reading.ends;
    const auto& own = reading.v4 ? entry.v4 : entry.v6;
    if (!own || own->owned != ends.source) {
        return VS_EGRESS_NOT_OWNED;
    }
    if (reading.has_options) {
        return VS_EGRESS_NOT_ALLOWED;
    }
    const bool origin = std::any_of(entry.origins.begin(), entry.origins.end(),
                                    [&](const LinkAlias& alias) { return alias.alias == ends.destination; });
    const bool target = std::any_of(entry.targets.begin(), entry.targets.end(), [&](const LinkTarget& one) {
        return one.protocol == ends.protocol && (one.port == 0 || one.port == ends.destination_port) &&
               one.prefix.address.is_v4() == ends.destination.is_v4() && one.prefix.contains(ends.destination);
    });
    if (origin || target || reading.later_fragment) {
        return std::nullopt;
    }
    if (!entry.internet) {
        return VS_EGRESS_NOT_ALLOWED;
    }
    if (is_special(ends.destination)) {
        return VS_EGRESS_PRIVATE;
    }
    if (!world_.internet) {
        return VS_EGRESS_NO_ROUTE;
    }
    return leads_to_internet(world_, ends.destination) ? std::nullopt : std::optional(VS_EGRESS_PRIVATE);
}

bool VerdictModel::begins_outside(const Packet& packet) const {
    const PacketReading& reading = packet.reading;
    const FlowEnds& ends = reading.ends;
    const int link = packet.step.link;
    if (reading.udp()) {
        return !outs_.contains({link, ends.destination, ends.destination_port, ends.source_port});
    }
    if ((reading.flags & kSyn) != 0) {
        return true;
    }
    if ((reading.flags & kRst) != 0) {
        return false;
    }
    const Found socket = find_tcp(link, ends.turned());
    return socket != Found::flow && socket != Found::time_wait;
}

Expectation VerdictModel::egress(const Packet& packet, vs_verdict otherwise) {
    const auto& entry = entry_of(packet.step.link);
    if (!entry) {
        return expect(packet, otherwise, Action::drop);
    }
    if (const auto refusal = against_egress(packet, *entry)) {
        return refuse_link(packet, *refusal);
    }
    if (!packet.reading.later_fragment && packet.step.no_token && begins_outside(packet)) {
        return refuse_link(packet, VS_EGRESS_TOO_MANY);
    }
    return send_egress(packet, *entry);
}

Expectation VerdictModel::send_egress(const Packet& packet, const LinkEgress& entry) {
    const PacketReading& reading = packet.reading;
    const int link = packet.step.link;
    if (reading.udp()) {
        outs_.insert({link, reading.ends.destination, reading.ends.destination_port, reading.ends.source_port});
    }
    if (reading.first_fragment) {
        begun_[fragment_key(reading)] = link;
        replies_.erase(fragment_key(reading));
    }
    ModelLinkCounters& counters = link_counters_[static_cast<std::size_t>(link)];
    counters.out += packet.segments;
    counters.out_bytes += packet.bytes;
    Expectation out = expect(packet, VS_EGRESS, Action::pass);
    exchange_address(&out, reading, true, (reading.v4 ? entry.v4 : entry.v6)->alias);
    for (const auto& origin : entry.origins) {
        if (origin.alias == reading.ends.destination) {
            exchange_address(&out, reading, false, origin.owned);
            break;
        }
    }
    return out;
}

}  // namespace viscum
