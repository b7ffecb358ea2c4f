// SPDX-License-Identifier: GPL-2.0-only
// What the router sends into a service's link: only what belongs to a flow that the service began.
#include <algorithm>

#include "tests/faults/model/verdict_model.h"

namespace viscum {
namespace {

/// How the service knows a remote address: the real cloud by its stand-in.
IpAddress as_known(const LinkEgress& entry, const IpAddress& remote) {
    const auto origin = std::find_if(entry.origins.begin(), entry.origins.end(),
                                     [&remote](const LinkAlias& alias) { return alias.owned == remote; });
    return origin == entry.origins.end() ? remote : origin->alias;
}

}  // namespace

bool VerdictModel::is_asked(int link, const FlowEnds& flow) const {
    if (flow.protocol == IPPROTO_TCP) {
        const Found socket = find_tcp(link, flow);
        return socket == Found::flow || socket == Found::time_wait;
    }
    return outs_.contains({link, flow.source, flow.source_port, flow.destination_port}) ||
           has_datagram(link, flow, true);
}

Expectation VerdictModel::back(const Packet& packet) {
    const PacketReading& reading = packet.reading;
    const int link = packet.step.link;
    const auto& entry = entry_of(link);
    if (!entry || reading.unread) {
        return expect(packet, VS_RETURN_OTHER, Action::drop);
    }
    const auto& own = reading.v4 ? entry->v4 : entry->v6;
    if (!own || own->alias != reading.ends.destination) {
        return expect(packet, VS_RETURN_OTHER, Action::drop);
    }
    if (reading.later_fragment) {
        const auto first = returned_.find(fragment_key(reading));
        return first != returned_.end() && first->second == link ? deliver(packet, *entry, *own, nullptr)
                                                                 : refuse_link(packet, VS_RETURN_UNASKED);
    }
    const bool syn = reading.tcp() && (reading.flags & kSyn) != 0 && (reading.flags & kAck) == 0;
    const bool error = reading.icmp && reading.quoted && reading.quoted->source == reading.ends.destination;
    if (syn || (reading.icmp && !error)) {
        return refuse_link(packet, VS_RETURN_UNASKED);
    }
    FlowEnds flow = error ? reading.quoted->turned() : reading.ends;
    flow.source = as_known(*entry, flow.source);
    flow.destination = own->owned;
    if (!is_asked(link, flow)) {
        return refuse_link(packet, VS_RETURN_UNASKED);
    }
    if (reading.first_fragment && !error) {
        returned_[fragment_key(reading)] = link;
    }
    return deliver(packet, *entry, *own, error ? &flow : nullptr);
}

Expectation VerdictModel::deliver(const Packet& packet, const LinkEgress& entry, const LinkAlias& own,
                                  const FlowEnds* quoted) {
    const PacketReading& reading = packet.reading;
    ModelLinkCounters& counters = link_counters_[static_cast<std::size_t>(packet.step.link)];
    counters.in += packet.segments;
    counters.in_bytes += packet.bytes;
    Expectation out = expect(packet, VS_RETURNED, Action::pass);
    if (quoted != nullptr) {
        exchange_quoted(&out, reading, quoted->destination, quoted->source);
    }
    exchange_address(&out, reading, false, own.owned);
    exchange_address(&out, reading, true, as_known(entry, reading.ends.source));
    std::copy(entry.mac.begin(), entry.mac.end(), out.frame.begin());
    return out;
}

}  // namespace viscum
