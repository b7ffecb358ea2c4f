// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/random_world.h"

#include <algorithm>

#include "base/text.h"
#include "tests/bpf/lab.h"

namespace viscum {
namespace {

struct Ports {
    std::uint16_t first = 0;
    std::uint16_t last = 0;
};

const std::vector<std::string>& claimed_prefixes() {
    static const std::vector<std::string> all{
        "203.0.113.10",      "203.0.113.10",     "203.0.113.11",    "203.0.113.20",     "198.51.100.0/24",
        "198.51.100.0/25",   "198.51.100.16/28", "198.51.100.20",   "203.0.113.0/27",   "0.0.0.0/0",
        "2001:db8:c::10",    "2001:db8:c::10",   "2001:db8:c::11",  "2001:db8:c::20",   "2001:db8:5::/48",
        "2001:db8:5:1::/64", "2001:db8:5:1::20", "2001:db8:c::/64", "2001:db8:5::/127", "::/0"};
    return all;
}

std::uint16_t some_port(const Ports& ports, std::mt19937& dice) {
    switch (below(3, dice)) {
        case 0: return ports.first;
        case 1: return ports.last;
        default: return static_cast<std::uint16_t>(ports.first + below(ports.last - ports.first + 1U, dice));
    }
}

Rule random_rule(const std::array<RuleBackend, 2>& links, std::mt19937& dice) {
    static const std::vector<Ports> ports{{80, 80},     {80, 80},     {53, 53},       {53, 53},     {443, 443},
                                          {0, 65535},   {8000, 8100}, {65535, 65535}, {79, 81},     {1, 1023},
                                          {1024, 1025}, {0, 0},       {32768, 65535}, {8050, 8050}, {50000, 50003}};
    Rule rule;
    const Ports range = one_of(ports, dice);
    const std::uint8_t protocol = chance(2, dice) ? 132 : chance(50, dice) ? IPPROTO_TCP : IPPROTO_UDP;
    rule.key = {IpPrefix::parse(one_of(claimed_prefixes(), dice)).value(), range.first, range.last, protocol};
    rule.service = chance(70, dice) ? "one" : "two";
    if (chance(85, dice)) {
        rule.backend[0] = links[0];
    }
    if (chance(50, dice)) {
        rule.backend[1] = links[1];
    }
    if (chance(10, dice)) {
        std::swap(rule.backend[0], rule.backend[1]);
    }
    rule.several_addresses = chance(40, dice);
    return changed_rules({rule}, dice)[0];
}

bool collide(const RuleKey& a, const RuleKey& b) {
    return a.prefix == b.prefix && a.protocol == b.protocol && a.first_port <= b.last_port &&
           b.first_port <= a.last_port;
}

IpAddress owned_near(const IpPrefix& claimed, std::mt19937& dice) {
    const bool v4 = claimed.address.is_v4();
    std::vector<IpAddress> within;
    for (const auto& text : owned_addresses(v4)) {
        if (claimed.contains(parsed(text))) {
            within.push_back(parsed(text));
        }
    }
    return within.empty() ? parsed(one_of(owned_addresses(v4), dice)) : one_of(within, dice);
}

/// Of the service's claims, or beside them.
WorldSocket random_socket(const World& world, int link, std::mt19937& dice) {
    WorldSocket out;
    out.link = link;
    const bool v4 = chance(50, dice);
    out.address = parsed(one_of(owned_addresses(v4), dice));
    out.port = chance(50, dice) ? 80 : 53;
    bool tcp = chance(60, dice);
    if (!world.rules.empty() && chance(85, dice)) {
        const Rule& rule = one_of(world.rules, dice);
        out.address = owned_near(rule.key.prefix, dice);
        out.port = std::max<std::uint16_t>(1, some_port({rule.key.first_port, rule.key.last_port}, dice));
        tcp = rule.key.protocol != IPPROTO_UDP;
    }
    const auto kind = below(10, dice);
    out.kind = tcp ? (kind < 5   ? WorldSocket::Kind::listener
                      : kind < 7 ? WorldSocket::Kind::established
                      : kind < 9 ? WorldSocket::Kind::time_wait
                                 : WorldSocket::Kind::handshake)
                   : (kind < 8 ? WorldSocket::Kind::datagram : WorldSocket::Kind::connected);
    if (out.has_peer()) {
        out.remote = parsed(out.address.is_v4() ? kClient4 : kClient6);
        out.remote_port = static_cast<std::uint16_t>(40000 + below(6, dice));
    } else {
        const auto where = below(10, dice);
        out.any_v4 = where < 2 || (where < 5 && out.address.is_v4());
        out.any_v6 = where < 2 || (where < 5 && !out.address.is_v4());
        out.other_device = chance(5, dice);
    }
    return out;
}

/// A connection that the service began.
WorldSocket own_socket(const LinkEgress& egress, int link, std::mt19937& dice) {
    WorldSocket out;
    out.link = link;
    out.kind = chance(60, dice) ? WorldSocket::Kind::established : WorldSocket::Kind::connected;
    const bool v4 = chance(50, dice);
    out.address = parsed(v4 ? kService4 : kService6);
    out.port = static_cast<std::uint16_t>(50000 + below(4, dice));
    out.remote = parsed(one_of(outside_addresses(v4), dice));
    for (const auto& origin : egress.origins) {
        if (origin.alias.is_v4() == v4 && chance(40, dice)) {
            out.remote = origin.alias;
        }
    }
    out.remote_port = chance(50, dice) ? 443 : 53;
    return out;
}

LinkEgress random_egress(int link, const std::array<RuleBackend, 2>& links, std::mt19937& dice) {
    static const std::vector<std::string> targets{
        "203.0.113.192/28", "203.0.113.200", "10.77.0.10",      "0.0.0.0/0",      "192.0.2.0/24",
        "2001:db8:e::/64",  "::/0",          "2001:db8:77::10", "2001:db8:e::200"};
    const std::string last = link == 0 ? "1" : "8";
    LinkEgress out;
    out.nsid = links[static_cast<std::size_t>(link)].nsid;
    out.mac = kServiceMac;
    if (chance(90, dice)) {
        out.v4 = LinkAlias{parsed(kService4), parsed("198.19.0." + last)};
    }
    if (chance(90, dice)) {
        out.v6 = LinkAlias{parsed(kService6), parsed("fd76:6973:6375:6d::" + last)};
    }
    for (std::uint32_t i = below(4, dice); i > 0; --i) {
        const bool v4 = chance(50, dice);
        const LinkAlias origin{parsed(one_of(owned_addresses(v4), dice)),
                               parsed(cat(v4 ? "198.19.0." : "fd76:6973:6375:6d::", 20 + i))};
        const bool known = std::any_of(out.origins.begin(), out.origins.end(),
                                       [&](const LinkAlias& one) { return one.owned == origin.owned; });
        if (!known) {
            out.origins.push_back(origin);
        }
    }
    out.internet = chance(60, dice);
    for (std::uint32_t i = below(4, dice); i > 0; --i) {
        const LinkTarget target{IpPrefix::parse(one_of(targets, dice)).value(),
                                static_cast<std::uint16_t>(chance(40, dice)   ? 0
                                                           : chance(50, dice) ? 443
                                                                              : 53),
                                static_cast<std::uint8_t>(chance(50, dice) ? IPPROTO_TCP : IPPROTO_UDP)};
        if (std::find(out.targets.begin(), out.targets.end(), target) == out.targets.end()) {
            out.targets.push_back(target);
        }
    }
    return out;
}

}  // namespace

World random_world(std::uint32_t seed, const std::array<RuleBackend, 2>& links) {
    std::mt19937 dice(seed);
    World world;
    world.seed = seed;
    world.internet = chance(60, dice);
    world.lan_mtu = chance(20, dice) ? 1400 : 1500;
    world.lease = chance(85, dice);
    if (chance(30, dice)) {
        world.bridge = MacAddress{0x02, 0x00, 0x5e, 0x00, 0x00, 0x77};
    }
    for (std::uint32_t i = 1 + below(8, dice); i > 0; --i) {
        const Rule rule = random_rule(links, dice);
        const bool free = std::none_of(world.rules.begin(), world.rules.end(),
                                       [&](const Rule& other) { return collide(rule.key, other.key); });
        if (free) {
            world.rules.push_back(rule);
        }
    }
    for (const int link : {0, 1}) {
        const auto at = static_cast<std::size_t>(link);
        world.cookies[at] = chance(25, dice);
        if (chance(65, dice)) {
            world.egress[at] = random_egress(link, links, dice);
            for (std::uint32_t i = below(5, dice); i > 0; --i) {
                world.sockets.push_back(own_socket(*world.egress[at], link, dice));
            }
        }
        for (std::uint32_t i = 2 + below(9, dice); i > 0; --i) {
            world.sockets.push_back(random_socket(world, link, dice));
        }
    }
    return world;
}

std::vector<Rule> changed_rules(std::vector<Rule> rules, std::mt19937& dice) {
    for (auto& rule : rules) {
        const auto fate = below(20, dice);
        rule.admission = fate < 14 ? Admission::serve : fate < 17 ? Admission::drain : Admission::off;
        rule.closed = chance(20, dice);
        const bool second = rule.backend[1].ifindex != 0;
        rule.active = chance(second ? 50U : 5U, dice) ? 1 : 0;
    }
    return rules;
}

IpAddress address_in(const IpPrefix& prefix, std::mt19937& dice) {
    IpAddress out = prefix.address;
    const auto kind = below(4, dice);
    if (kind == 0) {
        return out;
    }
    const int family_start = 128 - prefix.address.width();
    for (int bit = family_start + prefix.length; bit < 128; ++bit) {
        if (kind == 1 || chance(50, dice)) {
            const auto at = static_cast<std::size_t>(bit / 8);
            out.bytes[at] = static_cast<std::uint8_t>(out.bytes[at] | 0x80 >> bit % 8);
        }
    }
    return out;
}

const std::vector<std::string>& owned_addresses(bool v4) {
    static const std::vector<std::string> v4s{"203.0.113.10",  "203.0.113.11",  "203.0.113.20",
                                              "198.51.100.20", "198.51.100.31", "198.51.100.200"};
    static const std::vector<std::string> v6s{"2001:db8:c::10",   "2001:db8:c::11",   "2001:db8:c::20",
                                              "2001:db8:5:1::20", "2001:db8:5:1::99", "2001:db8:5::1"};
    return v4 ? v4s : v6s;
}

const std::vector<std::string>& client_addresses(bool v4) {
    static const std::vector<std::string> v4s{kClient4,    kClient4,     "10.77.0.10",
                                              "10.77.3.4", "192.0.2.77", "100.64.0.9"};
    static const std::vector<std::string> v6s{kClient6, kClient6, "2001:db8:77::10", "2001:db8:77::3:4",
                                              "2001:db8:ffff::1"};
    return v4 ? v4s : v6s;
}

const std::vector<std::string>& outside_addresses(bool v4) {
    static const std::vector<std::string> v4s{"203.0.113.200", "203.0.113.200", "203.0.113.199", "192.0.2.2",
                                              "10.77.0.10",    "9.255.255.255", "198.20.0.0",    "1.1.1.1"};
    static const std::vector<std::string> v6s{"2001:db8:e::200", "2001:db8:e::200", "2001:db8:1::2",
                                              "2001:db8:77::10", "2606:4700::1",    "2000::1",
                                              "64:ff9b::1.2.3.4"};
    return v4 ? v4s : v6s;
}

IpAddress parsed(const std::string& address) {
    return IpAddress::parse(address).value();
}

}  // namespace viscum
