// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/verdict_model.h"

#include <algorithm>

namespace viscum {

const char* action_name(Action action) {
    return action == Action::pass ? "pass" : action == Action::drop ? "drop" : "redirect";
}

VerdictModel::VerdictModel(const World& world, std::vector<WorldCookie> cookies, std::array<std::uint32_t, 2> links)
    : world_(world), cookies_(std::move(cookies)), links_(links), counters_(world.rules.size()) {}

Expectation VerdictModel::judge(const Step& step) {
    Packet packet{step, read_packet(step.frame, step.segments > 1)};
    packet.segments = std::max<std::uint64_t>(1, step.segments);
    packet.bytes = step.frame.size() - 14;
    switch (step.hook) {
        case Hook::lan: return lan(packet);
        case Hook::service: return service(packet);
        case Hook::back: break;
    }
    return back(packet);
}

void VerdictModel::change(const Step& change) {
    if (change.kind == Step::Kind::rules) {
        world_.rules = change.rules;
    } else {
        world_.lease = change.lease;
    }
}

std::optional<std::size_t> VerdictModel::find_rule(const IpAddress& address, std::uint16_t port,
                                                   std::uint8_t protocol) const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < world_.rules.size(); ++i) {
        const RuleKey& key = world_.rules[i].key;
        const bool claims = key.protocol == protocol && key.prefix.address.is_v4() == address.is_v4() &&
                            key.prefix.contains(address) && key.first_port <= port && port <= key.last_port;
        if (claims && (!best || world_.rules[*best].key.prefix.length < key.prefix.length)) {
            best = i;
        }
    }
    return best;
}

std::optional<int> VerdictModel::link_of(const RuleBackend& backend) const {
    for (const int link : {0, 1}) {
        if (backend.ifindex != 0 && backend.ifindex == links_[static_cast<std::size_t>(link)]) {
            return link;
        }
    }
    return std::nullopt;
}

bool VerdictModel::is_backend(const Rule& rule, int link) const {
    return link_of(rule.backend[0]) == link || link_of(rule.backend[1]) == link;
}

namespace {

bool takes(const WorldSocket& socket, int link, const IpAddress& address, std::uint16_t port) {
    if (socket.link != link || socket.port != port || socket.other_device) {
        return false;
    }
    return socket.any_v4 || socket.any_v6 ? (address.is_v4() ? socket.any_v4 : socket.any_v6)
                                          : socket.address == address;
}

bool is_peer(const WorldSocket& socket, const FlowEnds& ends) {
    return socket.remote == ends.source && socket.remote_port == ends.source_port;
}

}  // namespace

VerdictModel::Found VerdictModel::find_tcp(int link, const FlowEnds& ends) const {
    for (const auto& socket : world_.sockets) {
        if (socket.tcp() && socket.has_peer() && takes(socket, link, ends.destination, ends.destination_port) &&
            is_peer(socket, ends)) {
            return socket.kind == WorldSocket::Kind::time_wait ? Found::time_wait : Found::flow;
        }
    }
    return has_listener(link, ends.destination, ends.destination_port) ? Found::listener : Found::nothing;
}

bool VerdictModel::has_listener(int link, const IpAddress& address, std::uint16_t port) const {
    return std::any_of(world_.sockets.begin(), world_.sockets.end(), [&](const WorldSocket& socket) {
        return socket.kind == WorldSocket::Kind::listener && takes(socket, link, address, port);
    });
}

bool VerdictModel::finishes_cookie(int link, const PacketReading& reading) const {
    if ((reading.flags & kAck) == 0 || (reading.flags & (kRst | kSyn)) != 0) {
        return false;
    }
    return std::any_of(cookies_.begin(), cookies_.end(), [&](const WorldCookie& cookie) {
        // A cookie is a sum with the sequence number, in which two bits stand for the segment size: 0 for the smallest.
        const std::uint32_t off =
            reading.acknowledgement - reading.sequence - (cookie.acknowledgement - cookie.sequence);
        return cookie.link == link && cookie.client == reading.ends.source &&
               cookie.client_port == reading.ends.source_port && cookie.service == reading.ends.destination &&
               cookie.service_port == reading.ends.destination_port && off < 4;
    });
}

bool VerdictModel::has_datagram(int link, const FlowEnds& ends, bool connected_only) const {
    return std::any_of(world_.sockets.begin(), world_.sockets.end(), [&](const WorldSocket& socket) {
        return !socket.tcp() && takes(socket, link, ends.destination, ends.destination_port) &&
               (socket.has_peer() ? is_peer(socket, ends) : !connected_only);
    });
}

VerdictModel::FragmentKey VerdictModel::fragment_key(const PacketReading& reading) {
    return {reading.ends.source, reading.ends.destination, reading.fragment_id,
            reading.v4 ? reading.ends.protocol : std::uint8_t{0}};
}

Expectation VerdictModel::expect(const Packet& packet, vs_verdict verdict, Action action) {
    return {verdict, action, packet.step.frame, {}};
}

Expectation VerdictModel::refuse_link(const Packet& packet, vs_verdict verdict) {
    link_counters_[static_cast<std::size_t>(packet.step.link)].refused[verdict] += 1;
    return expect(packet, verdict, Action::drop);
}

}  // namespace viscum
