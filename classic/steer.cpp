// SPDX-License-Identifier: GPL-2.0-only
#include "classic/steer.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace viscum {
namespace {

// Priorities hold filters of one protocol each. Ours come before other tools' (bridger: 0xbb00), and after 86, which is
// the socket grade's. On a LAN device:
constexpr std::uint16_t kKeptV4 = 87;
constexpr std::uint16_t kKeptV6 = 88;
constexpr std::uint16_t kArpAnswers = 89;
constexpr std::uint16_t kNeighbours = 90;     // neighbour advertisements
constexpr std::uint16_t kNeighboursEnd = 91;  // which the router would forward to the cloud
constexpr std::uint16_t kClaimsV4 = 100;      // and 32 more: the longer prefix first
constexpr std::uint16_t kClaimsV6 = 140;      // and 128 more
// On a service's link:
constexpr std::uint16_t kAsks = 87;
constexpr std::uint16_t kBeginsV4 = 88;
constexpr std::uint16_t kRepliesV4 = 89;
constexpr std::uint16_t kOthersV4 = 90;
constexpr std::uint16_t kFragmentsV4 = 91;
constexpr std::uint16_t kSolicits = 92;
constexpr std::uint16_t kBeginsV6 = 93;
constexpr std::uint16_t kRepliesV6 = 94;
constexpr std::uint16_t kOthersV6 = 95;
constexpr std::uint16_t kFragmentsV6 = 96;
constexpr std::uint16_t kRest = 97;

// Headers, as words from the network header on (RFC 791, 8200, 826, 4861, 9293).
constexpr U32Key kNoOptions{0, 0x0f000000, 0x05000000};
constexpr U32Key kWholeV4{4, 0x00003fff, 0};  // more fragments and offset
constexpr U32Key kOffsetZero{4, 0x00001fff, 0};
constexpr int kSourceV4 = 12, kDestinationV4 = 16, kPortsV4 = 20, kTcpFlagsV4 = 32;
constexpr int kSourceV6 = 8, kDestinationV6 = 24, kPortsV6 = 40, kTcpFlagsV6 = 52;
constexpr U32Key kArpRequest{4, 0x0000ffff, 1}, kArpReply{4, 0x0000ffff, 2};
constexpr int kArpTarget = 24;
constexpr std::uint8_t kTcp = 6, kUdp = 17, kFragment = 44, kIcmpV6 = 58;
constexpr int kFragmentPortsV6 = 48;  // RFC 8200, 4.5
constexpr U32Key kFirstFragmentV6{40, 0x0000fff8, 0};
constexpr U32Key kUdpFragmentV6{40, 0xff000000, 17U << 24};
constexpr std::uint32_t kSolicitation = 135, kAdvertisement = 136;
constexpr int kIcmpTypeV6 = 40, kSolicited = 48;
constexpr std::uint32_t kSynAck = 0x00120000, kSynAlone = 0x00020000;

using Keys = std::vector<U32Key>;

U32Key protocol_key(bool v4, std::uint8_t protocol) {
    return v4 ? U32Key{8, 0x00ff0000, std::uint32_t{protocol} << 16}
              : U32Key{4, 0x0000ff00, std::uint32_t{protocol} << 8};
}

std::uint32_t word_of(const std::uint8_t* bytes) {
    return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

/// That the address at `offset` is in the prefix.
void add_prefix(Keys& keys, int offset, const IpPrefix& prefix) {
    int left = prefix.length;
    for (int word = 0; left > 0; ++word, left -= 32) {
        const std::uint32_t mask = left >= 32 ? 0xffffffff : ~(0xffffffffU >> left);
        keys.push_back({offset + 4 * word, mask, word_of(prefix.address.wire() + 4 * word) & mask});
    }
}

IpPrefix alone(const IpAddress& address) {
    return {address, address.width()};
}

void add_mac(Keys& keys, const Mac& mac) {
    keys.push_back({-16, 0x0000ffff, std::uint32_t{mac[0]} << 8 | mac[1]});
    keys.push_back({-12, 0xffffffff, word_of(mac.data() + 2)});
}

/// The ranges that a mask can tell, which together are first to last: 30 at most.
std::vector<std::pair<std::uint32_t, std::uint32_t>> masked_ports(std::uint32_t first, std::uint32_t last) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;  // value, mask
    if (first <= 1 && last == 65'535) {
        return {{0, 0}};  // nobody is at port 0
    }
    while (first <= last) {
        std::uint32_t size = 1;
        while ((first & (2 * size - 1)) == 0 && first + 2 * size - 1 <= last) {
            size *= 2;
        }
        ranges.emplace_back(first, 0xffff & ~(size - 1));
        first += size;
    }
    return ranges;
}

U32Filter filter_of(std::uint16_t priority, std::uint16_t protocol, Keys keys, IfIndex target, std::uint16_t mark = 0) {
    return {priority, protocol, std::move(keys), mark, number(target) == 0 ? U32Action::leave : U32Action::redirect,
            target};
}

std::uint16_t ethernet_type(bool v4) {
    return v4 ? ETH_P_IP : ETH_P_IPV6;
}

// The LAN ----------------------------------------------------------------------------------------------------------

U32Filter kept_filter(const Mac& mac, const KeptFlow& flow) {
    const bool v4 = flow.client.is_v4();
    Keys keys;
    if (v4) {
        keys = {kNoOptions, kWholeV4};
    }
    keys.push_back(protocol_key(v4, flow.protocol));
    add_prefix(keys, v4 ? kSourceV4 : kSourceV6, alone(flow.client));
    add_prefix(keys, v4 ? kDestinationV4 : kDestinationV6, alone(flow.service));
    keys.push_back({v4 ? kPortsV4 : kPortsV6, 0xffffffff, std::uint32_t{flow.client_port} << 16 | flow.service_port});
    add_mac(keys, mac);
    return filter_of(v4 ? kKeptV4 : kKeptV6, ethernet_type(v4), std::move(keys), flow.link);
}

void add_claim(std::vector<U32Filter>& filters, const Mac& mac, const SteeredClaim& claim, const IpPrefix& network) {
    const bool v4 = network.address.is_v4();
    const auto length = static_cast<std::uint16_t>(claim.destination.length);
    const auto priority = static_cast<std::uint16_t>(v4 ? kClaimsV4 + 32 - length : kClaimsV6 + 128 - length);
    for (const auto& [port, mask] : masked_ports(claim.first_port, claim.last_port)) {
        Keys keys;
        if (v4) {
            keys = {kNoOptions, kWholeV4};
        }
        keys.push_back(protocol_key(v4, claim.protocol));
        add_prefix(keys, v4 ? kSourceV4 : kSourceV6, network);
        add_prefix(keys, v4 ? kDestinationV4 : kDestinationV6, claim.destination);
        if (mask != 0) {
            keys.push_back({v4 ? kPortsV4 : kPortsV6, mask, port});
        }
        add_mac(keys, mac);
        filters.push_back(filter_of(priority, ethernet_type(v4), std::move(keys), claim.to, claim.mark));
    }
}

/// Answers to a service's ARP requests, of which the router needs none.
U32Filter arp_answer(const Mac& mac, const IpPrefix& owned, IfIndex link) {
    Keys keys{kArpReply};
    add_prefix(keys, kArpTarget, owned);
    add_mac(keys, mac);
    return {kArpAnswers, ETH_P_ARP, std::move(keys), 0, U32Action::mirror, link};
}

U32Filter advertisement(const Mac& mac, const IpPrefix& to, std::uint16_t priority, IfIndex target) {
    Keys keys{protocol_key(false, kIcmpV6), {kIcmpTypeV6, 0xff000000, kAdvertisement << 24}};
    add_prefix(keys, kDestinationV6, to);
    add_mac(keys, mac);
    return {priority, ETH_P_IPV6, std::move(keys), 0, target == kNowhere ? U32Action::redirect : U32Action::mirror,
            target};
}

void add_once(std::vector<U32Filter>& filters, U32Filter filter) {
    if (std::find(filters.begin(), filters.end(), filter) == filters.end()) {
        filters.push_back(std::move(filter));
    }
}

void add_answers(std::vector<U32Filter>& filters, const Mac& mac, const SteeredClaim& claim,
                 const IpAddress& solicits) {
    for (const IfIndex link : claim.links) {
        if (claim.destination.address.is_v4()) {
            add_once(filters, arp_answer(mac, claim.destination, link));
            continue;
        }
        add_once(filters, advertisement(mac, claim.destination, kNeighbours, link));
        add_once(filters, advertisement(mac, claim.destination, kNeighboursEnd, kNowhere));
        if (!claim.destination.is_single()) {
            add_once(filters, advertisement(mac, alone(solicits), kNeighbours, link));
            add_once(filters, advertisement(mac, alone(solicits), kNeighboursEnd, kNowhere));
        }
    }
}

// A service's link -------------------------------------------------------------------------------------------------

void add_begins(std::vector<U32Filter>& filters, IfIndex link) {
    filters.push_back(filter_of(kBeginsV4, ETH_P_IP,
                                {kNoOptions, kOffsetZero, protocol_key(true, kTcp), {kTcpFlagsV4, kSynAck, kSynAlone}},
                                link));
    filters.push_back(
        filter_of(kBeginsV6, ETH_P_IPV6, {protocol_key(false, kTcp), {kTcpFlagsV6, kSynAck, kSynAlone}}, link));
}

/// A service's question for the MAC of a client, from an address of its own.
U32Filter question(const Mac& mac, const IpPrefix& from, const LanNetwork& network) {
    const bool v4 = network.prefix.address.is_v4();
    Keys keys;
    if (v4) {
        const std::uint32_t mask = from.length == 0 ? 0 : 0xffffffffU << (32 - from.length);
        const std::uint32_t sender = word_of(from.address.wire());
        keys = {kArpRequest,
                {8, 0xffffffff, word_of(mac.data())},
                {12, 0xffff0000 | mask >> 16, std::uint32_t{mac[4]} << 24 | std::uint32_t{mac[5]} << 16 | sender >> 16},
                {16, mask << 16, sender << 16}};
    } else {
        keys = {protocol_key(false, kIcmpV6), {kIcmpTypeV6, 0xff000000, kSolicitation << 24}};
        add_prefix(keys, kSourceV6, from);
    }
    add_prefix(keys, v4 ? kArpTarget : kSolicited, network.prefix);
    return filter_of(v4 ? kAsks : kSolicits, v4 ? ETH_P_ARP : ETH_P_IPV6, std::move(keys), network.router);
}

void add_questions(std::vector<U32Filter>& filters, const Mac& mac, const SteeredClaim& claim,
                   const LanNetwork& network, const IpAddress& solicits) {
    add_once(filters, question(mac, claim.destination, network));
    if (!claim.destination.address.is_v4() && !claim.destination.is_single()) {
        add_once(filters, question(mac, alone(solicits), network));
    }
}

/// From its port to the LAN. Of UDP also what is a datagram's first fragment; TCP is whole.
void add_replies(std::vector<U32Filter>& filters, const SteeredClaim& claim, const LanNetwork& network) {
    const bool v4 = network.prefix.address.is_v4();
    const bool udp = claim.protocol == kUdp;
    for (const auto& [port, mask] : masked_ports(claim.first_port, claim.last_port)) {
        const auto add = [&, port = port, mask = mask](Keys keys, int ports) {
            add_prefix(keys, v4 ? kSourceV4 : kSourceV6, claim.destination);
            add_prefix(keys, v4 ? kDestinationV4 : kDestinationV6, network.prefix);
            if (mask != 0) {
                keys.push_back({ports, mask << 16, port << 16});
            }
            filters.push_back(filter_of(v4 ? kRepliesV4 : kRepliesV6, ethernet_type(v4), std::move(keys),
                                        network.router, claim.mark));
        };
        if (v4) {
            add({kNoOptions, udp ? kOffsetZero : kWholeV4, protocol_key(true, claim.protocol)}, kPortsV4);
        } else {
            add({protocol_key(false, claim.protocol)}, kPortsV6);
        }
        if (!v4 && udp) {
            add({protocol_key(false, kFragment), kFirstFragmentV6, kUdpFragmentV6}, kFragmentPortsV6);
        }
    }
}

/// The other fragments of a service's datagrams, which have no ports.
U32Filter fragments(const SteeredClaim& claim, const LanNetwork& network) {
    const bool v4 = network.prefix.address.is_v4();
    Keys keys{protocol_key(v4, v4 ? kUdp : kFragment)};
    if (!v4) {
        keys.push_back(kUdpFragmentV6);
    }
    add_prefix(keys, v4 ? kSourceV4 : kSourceV6, claim.destination);
    add_prefix(keys, v4 ? kDestinationV4 : kDestinationV6, network.prefix);
    return filter_of(v4 ? kFragmentsV4 : kFragmentsV6, ethernet_type(v4), std::move(keys), network.router);
}

/// The value behind a mask of 32 bits at `offset`; nullopt: no such key.
std::optional<std::uint32_t> value_at(const U32Filter& filter, int offset) {
    const auto key = std::find_if(filter.keys.begin(), filter.keys.end(), [offset](const U32Key& one) {
        return one.offset == offset && one.mask == 0xffffffff;
    });
    return key == filter.keys.end() ? std::nullopt : std::optional(key->value);
}

std::optional<IpAddress> address_at(const U32Filter& filter, int offset, bool v4) {
    IpAddress address;
    std::size_t place = 0;
    if (v4) {
        address.bytes[10] = address.bytes[11] = 0xff;
        place = 12;
    }
    for (; place < address.bytes.size(); place += 4, offset += 4) {
        const auto word = value_at(filter, offset);
        if (!word) {
            return std::nullopt;
        }
        for (std::size_t i = 0; i < 4; ++i) {
            address.bytes[place + i] = static_cast<std::uint8_t>(*word >> (24 - 8 * i));
        }
    }
    return address;
}

std::optional<std::uint8_t> protocol_of(const U32Filter& filter, bool v4) {
    const U32Key any = protocol_key(v4, 0);
    const auto key = std::find_if(filter.keys.begin(), filter.keys.end(),
                                  [&](const U32Key& one) { return one.offset == any.offset && one.mask == any.mask; });
    return key == filter.keys.end() ? std::nullopt
                                    : std::optional(static_cast<std::uint8_t>(key->value >> (v4 ? 16 : 8)));
}

/// Whether a shorter claim would take packets of `claim`'s, where that one has no filter.
bool is_around(const SteeredClaim& shorter, const SteeredClaim& claim) {
    return shorter.protocol == claim.protocol && shorter.destination.length < claim.destination.length &&
           shorter.destination.contains(claim.destination) && shorter.first_port <= claim.last_port &&
           claim.first_port <= shorter.last_port;
}

/// Within one that has a target.
bool is_nested(const SteeredClaim& claim, const std::vector<SteeredClaim>& claims) {
    return std::any_of(claims.begin(), claims.end(), [&claim](const SteeredClaim& other) {
        return number(other.to) != 0 && is_around(other, claim);
    });
}

}  // namespace

std::uint16_t claim_mark(const IpPrefix& destination, std::uint16_t first_port, std::uint16_t last_port,
                         std::uint8_t protocol, int slot) {
    const auto hash = fnv1a(cat(destination.text(), ' ', first_port, ' ', last_port, ' ', unsigned{protocol}));
    return static_cast<std::uint16_t>((hash & 0x7fff) << 1 | (slot != 0 ? 1U : 0U));
}

std::vector<U32Filter> lan_filters(const Mac& mac, const std::vector<LanNetwork>& networks,
                                   const std::vector<SteeredClaim>& claims, const std::vector<KeptFlow>& kept,
                                   const IpAddress& solicits) {
    std::vector<U32Filter> filters;
    for (const KeptFlow& flow : kept) {
        add_once(filters, kept_filter(mac, flow));
    }
    for (const SteeredClaim& claim : claims) {
        add_answers(filters, mac, claim, solicits);
        for (const LanNetwork& network : networks) {
            const bool same_family = network.prefix.address.is_v4() == claim.destination.address.is_v4();
            if (same_family && (number(claim.to) != 0 || is_nested(claim, claims))) {
                add_claim(filters, mac, claim, network.prefix);
            }
        }
    }
    return filters;
}

void give_last_to_cloud(std::vector<SteeredClaim>& claims) {
    const auto open = std::find_if(claims.rbegin(), claims.rend(), [](const SteeredClaim& one) { return !one.closed; });
    const auto at = open == claims.rend() ? std::prev(claims.end()) : std::prev(open.base());
    const SteeredClaim gone = *at;
    claims.erase(at);
    std::erase_if(claims, [&gone](const SteeredClaim& one) { return !one.closed && is_around(one, gone); });
}

std::vector<U32Filter> fence_filters(IfIndex link, const Mac& mac, const std::vector<LanNetwork>& networks,
                                     const std::vector<SteeredClaim>& claims, const IpAddress& solicits) {
    std::vector<U32Filter> filters;
    add_begins(filters, link);
    for (const LanNetwork& network : networks) {
        for (const SteeredClaim& claim : claims) {
            if (network.prefix.address.is_v4() != claim.destination.address.is_v4()) {
                continue;
            }
            add_questions(filters, mac, claim, network, solicits);
            add_replies(filters, claim, network);
            if (claim.protocol == kUdp) {
                add_once(filters, fragments(claim, network));
            }
        }
    }
    // Back to where it came from, and not with the MAC of that device: nobody's.
    filters.push_back(filter_of(kOthersV4, ETH_P_IP, {kOffsetZero}, link));
    filters.push_back(filter_of(kOthersV6, ETH_P_IPV6, {protocol_key(false, kFragment), kFirstFragmentV6}, link));
    filters.push_back(filter_of(kRest, ETH_P_ALL, {{0, 0, 0}}, link));
    return filters;
}

std::optional<KeptFlow> kept_flow_of(const U32Filter& filter) {
    if (filter.priority != kKeptV4 && filter.priority != kKeptV6) {
        return std::nullopt;
    }
    const bool v4 = filter.priority == kKeptV4;
    const auto client = address_at(filter, v4 ? kSourceV4 : kSourceV6, v4);
    const auto service = address_at(filter, v4 ? kDestinationV4 : kDestinationV6, v4);
    const auto ports = value_at(filter, v4 ? kPortsV4 : kPortsV6);
    const auto protocol = protocol_of(filter, v4);
    if (!client || !service || !ports || !protocol) {
        return std::nullopt;
    }
    return KeptFlow{
        *client,   *service,     static_cast<std::uint16_t>(*ports >> 16), static_cast<std::uint16_t>(*ports),
        *protocol, filter.target};
}

bool is_of(const U32Filter& filter, const SteeredClaim& claim) {
    const bool on_lan = filter.priority >= kClaimsV4;
    const bool v4 = claim.destination.address.is_v4();
    Keys keys;
    add_prefix(keys, on_lan ? (v4 ? kDestinationV4 : kDestinationV6) : (v4 ? kSourceV4 : kSourceV6), claim.destination);
    return filter.mark >> 1 == claim.mark >> 1 && filter.protocol == ethernet_type(v4) &&
           std::all_of(keys.begin(), keys.end(), [&filter](const U32Key& key) {
               return std::find(filter.keys.begin(), filter.keys.end(), key) != filter.keys.end();
           });
}

std::optional<Mac> mac_of(const U32Filter& filter) {
    const auto first = std::find_if(filter.keys.begin(), filter.keys.end(),
                                    [](const U32Key& key) { return key.offset == -16 && key.mask == 0x0000ffff; });
    const auto rest = value_at(filter, -12);
    if (first == filter.keys.end() || !rest) {
        return std::nullopt;
    }
    Mac mac{static_cast<std::uint8_t>(first->value >> 8), static_cast<std::uint8_t>(first->value)};
    for (std::size_t i = 0; i < 4; ++i) {
        mac[2 + i] = static_cast<std::uint8_t>(*rest >> (24 - 8 * i));
    }
    return mac;
}

bool serves(const U32Filter& filter) {
    return filter.priority >= kClaimsV4 && filter.action == U32Action::redirect && filter.target != kNowhere;
}

}  // namespace viscum
