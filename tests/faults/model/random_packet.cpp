// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/random_packet.h"

#include <algorithm>

#include "tests/bpf/lab.h"
#include "tests/bpf/sweep.h"
#include "tests/faults/model/packet_reading.h"
#include "tests/faults/model/random_world.h"

namespace viscum {
namespace {

constexpr std::size_t kRemembered = 24;

template <class T>
void remember(std::vector<T>& all, const T& one, std::mt19937& dice) {
    if (all.size() < kRemembered) {
        all.push_back(one);
    } else {
        all[dice() % all.size()] = one;
    }
}

/// The neighbour of an address, up or down.
IpAddress beside(IpAddress address, std::mt19937& dice) {
    const auto at = static_cast<std::size_t>(chance(70, dice) ? 15 : 14);
    address.bytes[at] = static_cast<std::uint8_t>(address.bytes[at] + (chance(50, dice) ? 1 : -1));
    return address;
}

int random_flags(std::mt19937& dice) {
    static const std::vector<int> usual{kSyn,
                                        kSyn,
                                        kSyn,
                                        kAck,
                                        kAck,
                                        kAck,
                                        kAck | kPsh,
                                        kSyn | kAck,
                                        kFin | kAck,
                                        kRst,
                                        kRst | kAck,
                                        kSyn | kEce | kCwr,
                                        kSyn | kFin,
                                        kSyn | kRst,
                                        kSyn | kPsh,
                                        kFin | kPsh,
                                        0};
    return chance(90, dice) ? one_of(usual, dice) : static_cast<int>(below(256, dice));
}

std::uint8_t icmp_of(bool v4) {
    return v4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6};
}

}  // namespace

PacketSource::PacketSource(const World& world, const std::vector<WorldCookie>& cookies, std::uint32_t seed)
    : world_(world), cookies_(cookies), dice_(seed ^ 0x5eed), rules_(world.rules), lease_(world.lease) {}

Step PacketSource::next() {
    if (below(300, dice_) == 0) {
        return change();
    }
    for (;;) {
        Sent sent = plain();
        dress(sent);
        Step step;
        step.hook = sent.hook;
        step.link = sent.link;
        step.frame = bytes_of(sent);
        remember(recent_, sent, dice_);
        const bool mutated = chance(25, dice_) && mutate(step.frame);
        if (step.frame.size() < 14 || !can_be_run(step.frame)) {
            continue;
        }
        mutations_ += mutated ? 1 : 0;
        put_together(step);
        step.no_token = step.hook == Hook::service && chance(10, dice_);
        return step;
    }
}

/// As GRO does, which takes no fragments.
void PacketSource::put_together(Step& step) {
    if (!chance(3, dice_)) {
        return;
    }
    step.segments = static_cast<std::uint16_t>(2 + below(3, dice_));
    if (chance(30, dice_) && step.frame[12] == 0x08 && step.frame.size() > 18) {
        step.frame[16] = step.frame[17] = 0;  // longer than the field can say
    }
    const PacketReading reading = read_packet(step.frame, true);
    if (reading.first_fragment || reading.later_fragment) {
        step.segments = 0;
    }
}

Step PacketSource::change() {
    Step step;
    if (chance(70, dice_)) {
        step.kind = Step::Kind::rules;
        step.rules = rules_ = changed_rules(rules_, dice_);
    } else {
        step.kind = Step::Kind::lease;
        step.lease = lease_ = !lease_ || chance(40, dice_);
    }
    return step;
}

std::uint16_t PacketSource::client_port() {
    return static_cast<std::uint16_t>(chance(90, dice_) ? 40000 + below(8, dice_) : below(65'536, dice_));
}

/// What the socket's peer would send.
Frame PacketSource::flow_of(const WorldSocket& socket) {
    const bool v4 = socket.any_v4 && socket.any_v6 ? chance(50, dice_)
                    : socket.any_v4                ? true
                    : socket.any_v6                ? false
                                                   : socket.address.is_v4();
    Frame frame;
    frame.destination = socket.any_v4 || socket.any_v6 ? parsed(one_of(owned_addresses(v4), dice_)) : socket.address;
    frame.destination_port = socket.port;
    frame.protocol = socket.tcp() ? IPPROTO_TCP : IPPROTO_UDP;
    frame.source = socket.has_peer() ? socket.remote : parsed(one_of(client_addresses(v4), dice_));
    frame.source_port = socket.has_peer() ? socket.remote_port : client_port();
    if (chance(10, dice_)) {
        frame.source_port ^= 1;
    }
    frame.sequence = 500'000;
    frame.acknowledgement = 100'000;
    return frame;
}

Frame PacketSource::flow_of_rule() {
    Frame frame;
    if (rules_.empty() || chance(8, dice_)) {
        const bool v4 = chance(50, dice_);
        frame.destination = parsed(one_of(chance(50, dice_) ? owned_addresses(v4) : outside_addresses(v4), dice_));
        frame.source = parsed(one_of(client_addresses(v4), dice_));
        frame.destination_port = static_cast<std::uint16_t>(chance(50, dice_) ? 80 : below(65'536, dice_));
        frame.protocol = chance(50, dice_) ? IPPROTO_TCP : IPPROTO_UDP;
        return frame;
    }
    const RuleKey& key = one_of(rules_, dice_).key;
    frame.destination = address_in(key.prefix, dice_);
    if (chance(8, dice_)) {
        const IpAddress neighbour = beside(frame.destination, dice_);
        frame.destination = neighbour.is_v4() == frame.destination.is_v4() ? neighbour : frame.destination;
    }
    const auto port = below(6, dice_);
    frame.destination_port = static_cast<std::uint16_t>(port == 0   ? key.first_port - 1
                                                        : port == 1 ? key.last_port + 1
                                                        : port < 4  ? key.first_port
                                                                    : key.last_port);
    if (chance(20, dice_)) {
        frame.destination_port =
            static_cast<std::uint16_t>(key.first_port + below(key.last_port - key.first_port + 1U, dice_));
    }
    const auto other = static_cast<std::uint8_t>(chance(50, dice_) ? IPPROTO_TCP : IPPROTO_UDP);
    frame.protocol = chance(90, dice_) ? key.protocol : other;
    frame.source = parsed(one_of(client_addresses(frame.destination.is_v4()), dice_));
    frame.source_port = client_port();
    return frame;
}

PacketSource::Sent PacketSource::from_client() {
    Sent out;
    if (!cookies_.empty() && chance(10, dice_)) {
        const WorldCookie& cookie = one_of(cookies_, dice_);
        out.frame.source = cookie.client;
        out.frame.destination = cookie.service;
        out.frame.source_port = cookie.client_port;
        out.frame.destination_port = cookie.service_port;
        out.frame.sequence = cookie.sequence;
        out.frame.acknowledgement = cookie.acknowledgement ^ (chance(20, dice_) ? 0x100U : 0U);
        out.frame.flags = chance(80, dice_) ? kAck : random_flags(dice_);
        return out;
    }
    const bool socket = !world_.sockets.empty() && chance(55, dice_);
    out.frame = socket ? flow_of(one_of(world_.sockets, dice_)) : flow_of_rule();
    out.frame.flags = random_flags(dice_);
    return out;
}

/// A reply, to what was just asked or to what a socket waits for.
PacketSource::Sent PacketSource::from_service() {
    Sent out;
    out.hook = Hook::service;
    const bool recent = !recent_.empty() && chance(60, dice_);
    if (recent) {
        const Sent& asked = one_of(recent_, dice_);
        out.frame = asked.hook == Hook::service ? asked.frame : turned(asked.frame);
        out.link = static_cast<int>(below(2, dice_));
    } else if (!world_.sockets.empty()) {
        const WorldSocket& socket = one_of(world_.sockets, dice_);
        out.frame = turned(flow_of(socket));
        out.link = chance(90, dice_) ? socket.link : 1 - socket.link;
    }
    if (chance(15, dice_) && out.frame.protocol == IPPROTO_UDP) {
        out.frame.source =
            parsed(one_of(owned_addresses(out.frame.source.is_v4()), dice_));  // of several, the wrong one
    }
    out.frame.flags = chance(60, dice_) ? (chance(50, dice_) ? kAck : kSyn | kAck) : random_flags(dice_);
    out.frame.sequence = chance(30, dice_) ? 0 : 100'000;
    return out;
}

PacketSource::Sent PacketSource::begun_by_service() {
    static const std::vector<std::string> special{"127.0.0.1", "0.1.2.3",     "172.31.255.255", "198.19.0.1",
                                                  "224.0.0.1", "100.127.0.1", "169.254.1.1",    "::1",
                                                  "ff02::1",   "fc00::1",     "2002:a00::1",    "4000::1"};
    Sent out;
    out.hook = Hook::service;
    out.link = static_cast<int>(below(2, dice_));
    const auto& egress = world_.egress[static_cast<std::size_t>(out.link)];
    const bool v4 = chance(50, dice_);
    Frame& frame = out.frame;
    frame.source = parsed(chance(90, dice_) ? (v4 ? kService4 : kService6) : one_of(owned_addresses(v4), dice_));
    frame.destination = parsed(one_of(outside_addresses(v4), dice_));
    if (egress && !egress->origins.empty() && chance(35, dice_)) {
        const auto& origin = one_of(egress->origins, dice_);
        frame.destination = origin.alias.is_v4() == v4 ? origin.alias : frame.destination;
    } else if (egress && !egress->targets.empty() && chance(35, dice_)) {
        const auto& prefix = one_of(egress->targets, dice_).prefix;
        frame.destination = prefix.address.is_v4() == v4 ? address_in(prefix, dice_) : frame.destination;
    } else if (chance(15, dice_)) {
        const auto address = parsed(one_of(special, dice_));
        frame.destination = address.is_v4() == v4 ? address : frame.destination;
    }
    frame.protocol = chance(50, dice_) ? IPPROTO_TCP : IPPROTO_UDP;
    frame.source_port = static_cast<std::uint16_t>(50000 + below(6, dice_));
    frame.destination_port = static_cast<std::uint16_t>(chance(50, dice_) ? 443 : chance(80, dice_) ? 53 : 8080);
    frame.flags = random_flags(dice_);
    return out;
}

/// The answer to what a service began, as the router sends it to the alias.
PacketSource::Sent PacketSource::come_back() {
    Sent out;
    if (!recent_.empty() && chance(50, dice_)) {
        const Sent& asked = one_of(recent_, dice_);
        out.frame = asked.hook == Hook::service ? turned(asked.frame) : asked.frame;
        out.link = asked.hook == Hook::lan ? static_cast<int>(below(2, dice_)) : asked.link;
    } else if (!world_.sockets.empty() && chance(80, dice_)) {
        const WorldSocket& socket = one_of(world_.sockets, dice_);
        out.frame = flow_of(socket);
        out.link = socket.link;
    } else {
        out = begun_by_service();
        out.frame = turned(out.frame);
    }
    out.hook = Hook::back;
    out.frame.flags = chance(70, dice_) ? kAck : random_flags(dice_);
    const auto& egress = world_.egress[static_cast<std::size_t>(out.link)];
    const auto& own =
        out.frame.destination.is_v4() ? (egress ? egress->v4 : std::nullopt) : (egress ? egress->v6 : std::nullopt);
    if (own && chance(95, dice_)) {
        out.frame.destination = own->alias;
    }
    if (egress && chance(95, dice_)) {
        for (const auto& origin : egress->origins) {
            out.frame.source = out.frame.source == origin.alias ? origin.owned : out.frame.source;
        }
    }
    return out;
}

PacketSource::Sent PacketSource::plain() {
    const auto kind = below(100, dice_);
    Sent out = kind < 55 ? from_client() : kind < 68 ? from_service() : kind < 84 ? begun_by_service() : come_back();
    if (out.frame.source == IpAddress{} || out.frame.source.is_v4() != out.frame.destination.is_v4()) {
        out = from_client();
    }
    return out;
}

void PacketSource::dress_headers(Frame& frame) {
    static const std::vector<std::uint8_t> types{IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING};
    frame.ip_options = frame.source.is_v4() && chance(8, dice_) ? 4 * static_cast<int>(1 + below(10, dice_)) : 0;
    frame.extensions.clear();
    if (!frame.source.is_v4() && chance(12, dice_)) {
        for (auto count = 1 + below(chance(20, dice_) ? 8 : 3, dice_); count > 0; --count) {
            const auto type = one_of(types, dice_);
            const bool left = type == IPPROTO_ROUTING && chance(20, dice_);
            frame.extensions.push_back({type, static_cast<int>(chance(80, dice_) ? 0 : below(4, dice_)),
                                        static_cast<std::uint8_t>(left ? 1 : 0)});
        }
    }
}

void PacketSource::dress(Sent& sent) {
    static const std::vector<MacAddress> others{kServiceMac,
                                                kBroadcastMac,
                                                {0x01, 0x00, 0x5e, 0, 0, 1},
                                                {0x02, 0x00, 0x5e, 0, 0, 0x77},
                                                {0x02, 0x00, 0x5e, 0, 0, 0x76},
                                                {0x33, 0x33, 0, 0, 0, 1}};
    Frame& frame = sent.frame;
    frame.to_mac = chance(92, dice_) ? kRouterMac : one_of(others, dice_);
    frame.from_mac = kClientMac;
    frame.fragment.reset();
    frame.tags.clear();
    if (frame.protocol == IPPROTO_TCP || frame.protocol == IPPROTO_UDP) {
        frame.payload.assign(chance(50, dice_) ? 0 : below(40, dice_), static_cast<std::uint8_t>(dice_()));
    }
    if (sent.hook != Hook::lan && chance(3, dice_)) {
        frame.payload.assign(1330 + below(150, dice_), 'l');
    }
    dress_headers(frame);
    if (chance(3, dice_)) {
        static const std::vector<std::vector<std::uint16_t>> tags{{0x8100}, {0x88a8}, {0x88a8, 0x8100}, {0x9100}};
        frame.tags = one_of(tags, dice_);
    }
}

Bytes PacketSource::fragment_of(Sent sent) {
    const bool later = !fragmented_.empty() && chance(55, dice_);
    if (later) {
        const Sent& first = one_of(fragmented_, dice_);
        sent.frame = first.frame;
        sent.link = first.link;
    }
    Frame& frame = sent.frame;
    if (!later) {
        frame.payload.assign(130, 'f');
        frame.fragment = Fragment{below(4, dice_), 0, true};
        remember(fragmented_, sent, dice_);
    }
    const std::uint32_t id = frame.fragment->id;
    frame.fragment.reset();
    const std::size_t size = chance(6, dice_) ? 8 : 64;
    auto parts = build_fragments(frame, id, size);
    return parts[later ? 1 : chance(95, dice_) ? 0 : parts.size() - 1];
}

Bytes PacketSource::error_about(const Sent& sent) {
    const bool v4 = sent.frame.source.is_v4();
    // About what the receiver of this packet's answer would have sent.
    Frame about = turned(sent.frame);
    about.fragment.reset();
    about.tags.clear();
    about.ip_options = chance(10, dice_) ? about.ip_options : 0;
    if (chance(90, dice_)) {
        about.extensions.clear();
    }
    Bytes quoted = build(about);
    quoted.erase(quoted.begin(), quoted.begin() + 14);
    if (chance(30, dice_)) {
        quoted.resize(std::min<std::size_t>(quoted.size(), (v4 ? 20 : 40) + below(12, dice_)));
    }
    static const std::vector<std::uint8_t> types{1, 2, 3, 4, 11, 12, 3, 11, 1, 2, 0, 5, 8, 128};
    Frame error = sent.frame;
    error.protocol = icmp_of(v4);
    error.source = chance(60, dice_) ? parsed(v4 ? "192.0.2.1" : "2001:db8:1::1") : sent.frame.source;
    error.payload = {one_of(types, dice_), static_cast<std::uint8_t>(below(5, dice_)), 0, 0, 0, 0, 5, 0};
    error.payload.insert(error.payload.end(), quoted.begin(), quoted.end());
    if (v4) {
        const auto sum = folded(partial_sum(error.payload.data(), error.payload.size(), 0));
        error.payload[2] = static_cast<std::uint8_t>(sum >> 8);
        error.payload[3] = static_cast<std::uint8_t>(sum);
    }
    return build(error);
}

/// Protocols that have no ports.
Bytes PacketSource::strange(const Sent& sent) {
    static const std::vector<std::uint8_t> protocols{132, 47, 50, 51, 59, 135, 1, 58, 44, 0, 253};
    Frame frame = sent.frame;
    frame.protocol = one_of(protocols, dice_);
    frame.payload.assign(8 + below(30, dice_), static_cast<std::uint8_t>(chance(50, dice_) ? 0 : dice_()));
    Bytes out = build(frame);
    if (chance(20, dice_)) {
        out[12] = 0x08;
        out[13] = chance(50, dice_) ? 0x06 : 0x00;
    }
    return out;
}

Bytes PacketSource::bytes_of(const Sent& sent) {
    const bool ports = sent.frame.protocol == IPPROTO_TCP || sent.frame.protocol == IPPROTO_UDP;
    const auto kind = below(100, dice_);
    if (kind < 12 && ports && sent.frame.tags.empty()) {
        return fragment_of(sent);
    }
    if (kind < 22 && ports) {
        return error_about(sent);
    }
    if (kind < 25) {
        return strange(sent);
    }
    Bytes out = build(sent.frame);
    if (kind < 28 && sent.frame.source.is_v4() && sent.frame.protocol == IPPROTO_UDP && sent.frame.tags.empty()) {
        const std::size_t at = 34 + static_cast<std::size_t>(sent.frame.ip_options) + 6;
        out[at] = out[at + 1] = 0;  // no checksum
    } else if (kind < 31) {
        out.resize(out.size() + 1 + below(20, dice_), 0);  // padding
    }
    return out;
}

bool PacketSource::mutate(Bytes& bytes) {
    const Bytes before = bytes;
    for (auto count = 1 + below(3, dice_); count > 0; --count) {
        // Mostly within the headers.
        const auto limit =
            static_cast<std::uint32_t>(chance(80, dice_) ? std::min<std::size_t>(bytes.size(), 80) : bytes.size());
        const auto at = below(limit, dice_);
        switch (below(6, dice_)) {
            case 0:
            case 1: bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ 1U << below(8, dice_)); break;
            case 2: bytes[at] = static_cast<std::uint8_t>(dice_()); break;
            case 3: bytes[at] = chance(50, dice_) ? 0 : 0xff; break;
            case 4:
                bytes.resize(std::max<std::size_t>(14, below(static_cast<std::uint32_t>(bytes.size()) + 1, dice_)));
                break;
            default: bytes.resize(bytes.size() + 1 + below(16, dice_), static_cast<std::uint8_t>(dice_())); break;
        }
    }
    return bytes != before;
}

}  // namespace viscum
