// SPDX-License-Identifier: GPL-2.0-only
// Where frames go by the filters of the classic grade: the filters are asked as u32 asks them (net/sched/cls_u32.c).
#include "classic/steer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "base/text.h"
#include "classic/match.h"
#include "tests/bpf/frame.h"

using namespace viscum;

namespace {

constexpr IfIndex kLink{7}, kOtherLink{8}, kBridge{3};
constexpr std::size_t kHeader = 14;  // Ethernet's
const IpAddress kSolicits = IpAddress::parse("fe80::76:6973").value();

IpPrefix prefix(const char* text) {
    return IpPrefix::parse(text).value();
}

std::vector<LanNetwork> lan() {
    return {{prefix("10.77.0.0/16"), kBridge}, {prefix("2001:db8:77::/64"), kBridge}};
}

SteeredClaim claim(const char* destination, std::uint16_t first, std::uint16_t last, std::uint8_t protocol,
                   IfIndex to = kLink) {
    SteeredClaim made;
    made.destination = prefix(destination);
    made.first_port = first;
    made.last_port = last;
    made.protocol = protocol;
    made.mark = 2;
    made.to = to;
    made.links = {kLink};
    return made;
}

bool matches(const U32Filter& filter, const Bytes& frame) {
    return std::all_of(filter.keys.begin(), filter.keys.end(), [&](const U32Key& key) {
        const auto at = static_cast<std::size_t>(static_cast<int>(kHeader) + key.offset);
        if (static_cast<int>(kHeader) + key.offset < -2 || at + 4 > frame.size() + (key.offset == -16 ? 4 : 0)) {
            return false;
        }
        std::uint32_t word = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const auto place = at + i;  // the MAC's first key begins two bytes before the frame
            word = word << 8 | (place < frame.size() ? frame[place] : 0U);
        }
        return (word & key.mask) == key.value;
    });
}

std::string name_of(IfIndex device) {
    return device == kNowhere     ? "nowhere"
           : device == kLink      ? "service"
           : device == kOtherLink ? "other service"
           : device == kBridge    ? "lan"
                                  : "?";
}

/// "cloud" for what no filter takes; copies are told as well.
std::string fate(std::vector<U32Filter> filters, const Bytes& frame) {
    const auto type = static_cast<std::uint16_t>(frame[12] << 8 | frame[13]);
    std::stable_sort(filters.begin(), filters.end(),
                     [](const auto& a, const auto& b) { return a.priority < b.priority; });
    std::string copies;
    for (const U32Filter& filter : filters) {
        if ((filter.protocol != type && filter.protocol != 0x0003) || !matches(filter, frame)) {
            continue;
        }
        if (filter.action != U32Action::mirror) {
            return copies + (filter.action == U32Action::leave ? "cloud" : name_of(filter.target));
        }
        copies += cat("copy to ", name_of(filter.target), ", ");
    }
    return copies + "cloud";
}

std::string on_lan(const std::vector<SteeredClaim>& claims, const Bytes& frame,
                   const std::vector<KeptFlow>& kept = {}) {
    return fate(lan_filters(kRouterMac, lan(), claims, kept, kSolicits), frame);
}

std::string from_service(const Bytes& frame, const std::vector<SteeredClaim>& owned = {
                                                 claim("203.0.113.10", 80, 80, 6), claim("203.0.113.10", 53, 53, 17),
                                                 claim("2001:db8:c::10", 80, 80, 6)}) {
    return fate(fence_filters(kLink, kRouterMac, lan(), owned, kSolicits), frame);
}

Frame to_port(Frame frame, std::uint16_t port) {
    frame.destination_port = port;
    return frame;
}

Frame reply(const Frame& request, int flags) {
    Frame frame = turned(request);
    frame.flags = flags;
    return frame;
}

}  // namespace

TEST_CASE("steer: whole packets from the LAN to a claim go to its service, and no other") {
    const std::vector claims = {claim("203.0.113.10", 80, 80, 6), claim("2001:db8:c::10", 80, 80, 6)};
    CHECK(on_lan(claims, build(tcp("10.77.0.11", "203.0.113.10", kSyn))) == "service");
    CHECK(on_lan(claims, build(tcp("10.77.0.11", "203.0.113.10", kAck))) == "service");
    CHECK(on_lan(claims, build(tcp("2001:db8:77::b", "2001:db8:c::10", kSyn))) == "service");
    CHECK(on_lan(claims, build(tcp("10.77.0.11", "203.0.113.11", kSyn))) == "cloud");
    CHECK(on_lan(claims, build(to_port(tcp("10.77.0.11", "203.0.113.10", kSyn), 81))) == "cloud");
    CHECK(on_lan(claims, build(to_port(udp("10.77.0.11", "203.0.113.10"), 80))) == "cloud");
    CHECK(on_lan(claims, build(tcp("2001:db8:77::b", "2001:db8:c::11", kSyn))) == "cloud");
}

TEST_CASE("steer: what the router would not take itself, or cannot be read as it is, stays with the cloud") {
    const std::vector claims = {claim("203.0.113.10", 1, 65'535, 17), claim("2001:db8:c::10", 1, 65'535, 17)};
    Frame frame = udp("10.77.0.11", "203.0.113.10");
    CHECK(on_lan(claims, build(frame)) == "service");
    Frame elsewhere = frame;
    elsewhere.to_mac = kServiceMac;
    CHECK(on_lan(claims, build(elsewhere)) == "cloud");
    CHECK(on_lan(claims, build(udp("192.168.1.5", "203.0.113.10"))) == "cloud");  // behind another router
    Frame options = frame;
    options.ip_options = 4;
    CHECK(on_lan(claims, build(options)) == "cloud");
    frame.payload.assign(4000, 'x');
    for (const Bytes& fragment : build_fragments(frame, 9, 1480)) {
        CHECK(on_lan(claims, fragment) == "cloud");
    }
    Frame extended = udp("2001:db8:77::b", "2001:db8:c::10");
    CHECK(on_lan(claims, build(extended)) == "service");
    extended.extensions.emplace_back();
    CHECK(on_lan(claims, build(extended)) == "cloud");
    Frame tagged = udp("10.77.0.11", "203.0.113.10");
    tagged.tags = {0x8100};
    CHECK(on_lan(claims, build(tagged)) == "cloud");
}

TEST_CASE("steer: a range of ports is served from its first to its last") {
    for (const auto& [first, last] : {std::pair(8000, 8100), std::pair(1, 65'535), std::pair(1, 1),
                                      std::pair(65'535, 65'535), std::pair(2, 65'534), std::pair(32'768, 60'999)}) {
        CAPTURE(first);
        const std::vector claims = {
            claim("203.0.113.10", static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last), 6)};
        const auto at = [&](int port) {
            return on_lan(claims,
                          build(to_port(tcp("10.77.0.11", "203.0.113.10", kSyn), static_cast<std::uint16_t>(port))));
        };
        CHECK(at(first) == "service");
        CHECK(at(last) == "service");
        CHECK(at((first + last) / 2) == "service");
        if (first > 1) {
            CHECK(at(first - 1) == "cloud");
        }
        if (last < 65'535) {
            CHECK(at(last + 1) == "cloud");
        }
        CHECK(lan_filters(kRouterMac, lan(), claims, {}, kSolicits).size() <= 32);
    }
}

TEST_CASE("steer: the longer prefix wins, and one that may not leave the site goes nowhere") {
    std::vector claims = {claim("203.0.113.0/24", 80, 80, 6), claim("203.0.113.64/26", 80, 80, 6, kOtherLink),
                          claim("203.0.113.70", 80, 80, 6, kNowhere)};
    const auto at = [&](const char* address) { return on_lan(claims, build(tcp("10.77.0.11", address, kSyn))); };
    CHECK(at("203.0.113.1") == "service");
    CHECK(at("203.0.113.65") == "other service");
    CHECK(at("203.0.113.70") == "nowhere");
    claims[1].to = IfIndex{};
    CHECK(at("203.0.113.65") == "cloud");
    claims[0].to = IfIndex{};
    CHECK(at("203.0.113.1") == "cloud");
    claims[0] = claim("203.0.113.0/24", 81, 90, 6);
    CHECK(at("203.0.113.65") == "cloud");
}

TEST_CASE("steer: where there is no room for all, the last claim goes to the cloud, and to no other service") {
    std::vector claims = {claim("203.0.113.0/24", 80, 90, 6), claim("203.0.113.0/24", 443, 443, 6),
                          claim("203.0.113.0/24", 80, 80, 17), claim("203.0.113.70", 80, 80, 6, kOtherLink)};
    const auto at = [&](const char* address) { return on_lan(claims, build(tcp("10.77.0.11", address, kSyn))); };
    CHECK(at("203.0.113.70") == "other service");
    give_last_to_cloud(claims);
    CHECK(at("203.0.113.70") == "cloud");
    CHECK(at("203.0.113.1") == "cloud");
    // Those whose packets are others stay.
    CHECK(claims.size() == 2);
}

TEST_CASE("steer: where there is no room for all, what must not leave the site stays the longest") {
    std::vector claims = {claim("203.0.113.0/24", 80, 80, 6), claim("203.0.113.64/26", 80, 80, 6, kNowhere),
                          claim("203.0.113.70", 80, 80, 6, kOtherLink), claim("203.0.113.80", 80, 80, 6)};
    claims[1].closed = claims[3].closed = true;
    const auto at = [&](const char* address) { return on_lan(claims, build(tcp("10.77.0.11", address, kSyn))); };
    give_last_to_cloud(claims);
    CHECK(at("203.0.113.1") == "cloud");
    CHECK(at("203.0.113.65") == "nowhere");
    CHECK(at("203.0.113.80") == "service");
    CHECK(claims.size() == 2);
    give_last_to_cloud(claims);
    give_last_to_cloud(claims);
    CHECK(claims.empty());
}

TEST_CASE("steer: a kept flow stays where it is, whoever has the claim") {
    const auto address = [](const char* text) { return IpAddress::parse(text).value(); };
    const std::vector claims = {claim("203.0.113.10", 80, 80, 6), claim("2001:db8:c::10", 80, 80, 6)};
    const std::vector<KeptFlow> kept = {
        {address("10.77.0.11"), address("203.0.113.10"), 40'000, 80, 6, IfIndex{}},
        {address("10.77.0.12"), address("203.0.113.10"), 40'000, 80, 6, kOtherLink},
        {address("2001:db8:77::b"), address("2001:db8:c::10"), 40'000, 80, 6, IfIndex{}}};
    CHECK(on_lan(claims, build(tcp("10.77.0.11", "203.0.113.10", kAck)), kept) == "cloud");
    CHECK(on_lan(claims, build(tcp("10.77.0.12", "203.0.113.10", kAck)), kept) == "other service");
    CHECK(on_lan(claims, build(tcp("10.77.0.13", "203.0.113.10", kAck)), kept) == "service");
    CHECK(on_lan(claims, build(tcp("2001:db8:77::b", "2001:db8:c::10", kAck)), kept) == "cloud");
    CHECK(on_lan(claims, build(tcp("2001:db8:77::c", "2001:db8:c::10", kAck)), kept) == "service");
    std::vector<KeptFlow> read;
    for (const U32Filter& filter : lan_filters(kRouterMac, lan(), claims, kept, kSolicits)) {
        if (const auto flow = kept_flow_of(filter)) {
            read.push_back(*flow);
        }
    }
    CHECK(read == kept);
}

TEST_CASE("steer: replies go to the LAN, and what a service begins goes nowhere") {
    const Frame request = tcp("10.77.0.11", "203.0.113.10", kSyn);
    CHECK(from_service(build(reply(request, kSyn | kAck))) == "lan");
    CHECK(from_service(build(reply(request, kRst))) == "lan");
    CHECK(from_service(build(reply(request, kSyn))) == "service");
    const Frame six = tcp("2001:db8:77::b", "2001:db8:c::10", kSyn);
    CHECK(from_service(build(reply(six, kSyn | kAck))) == "lan");
    CHECK(from_service(build(reply(six, kSyn))) == "service");
    CHECK(from_service(build(reply(to_port(request, 81), kAck))) == "service");
    CHECK(from_service(build(reply(tcp("192.0.2.9", "203.0.113.10", kAck), kAck))) == "service");
    CHECK(from_service(build(reply(tcp("10.77.0.11", "203.0.113.99", kAck), kAck))) == "service");
    CHECK(from_service(build(turned(to_port(udp("10.77.0.11", "203.0.113.10"), 53)))) == "lan");
    CHECK(from_service(build(turned(to_port(udp("10.77.0.11", "203.0.113.10"), 54)))) == "service");
    CHECK(from_service(icmp_echo_request("203.0.113.10", "10.77.0.11")) == "service");
    Frame large = turned(to_port(udp("10.77.0.11", "203.0.113.10"), 53));
    large.payload.assign(4000, 'x');
    for (const Bytes& fragment : build_fragments(large, 9, 1480)) {
        CHECK(from_service(fragment) == "lan");
    }
    large.source_port = 54;
    CHECK(from_service(build_fragments(large, 9, 1480).front()) == "service");
}

TEST_CASE("steer: fragments leave of datagrams from a claimed port alone") {
    const std::vector udp6 = {claim("2001:db8:c::10", 53, 53, 17)};
    const std::vector tcp6 = {claim("2001:db8:c::10", 80, 80, 6)};
    Frame large = turned(to_port(udp("2001:db8:77::b", "2001:db8:c::10"), 53));
    large.payload.assign(4000, 'x');
    Frame other = large;
    other.source_port = 5555;
    for (const Bytes& fragment : build_fragments(large, 9, 1480)) {
        CHECK(from_service(fragment, udp6) == "lan");
        CHECK(from_service(fragment, tcp6) == "service");
    }
    CHECK(from_service(build_fragments(other, 9, 1480).front(), udp6) == "service");
    Frame stream = reply(tcp("2001:db8:77::b", "2001:db8:c::10", kAck), kAck);
    stream.payload.assign(4000, 'x');
    for (const Bytes& fragment : build_fragments(stream, 9, 1480)) {
        CHECK(from_service(fragment, tcp6) == "service");
    }
    stream = reply(tcp("10.77.0.11", "203.0.113.10", kAck), kAck);
    stream.payload.assign(4000, 'x');
    for (const Bytes& fragment : build_fragments(stream, 9, 8)) {
        CHECK(from_service(fragment) == "service");
    }
}

TEST_CASE("steer: a service asks for MACs in its own name, and of the LAN's clients") {
    const auto question = [](std::array<std::uint8_t, 4> sender, std::array<std::uint8_t, 4> target, std::uint8_t mac) {
        Bytes frame(42, 0);
        frame[12] = 0x08;
        frame[13] = 0x06;
        frame[21] = 1;
        std::copy(kRouterMac.begin(), kRouterMac.end(), frame.begin() + 22);
        frame[27] = mac;
        std::copy(sender.begin(), sender.end(), frame.begin() + 28);
        std::copy(target.begin(), target.end(), frame.begin() + 38);
        return from_service(frame);
    };
    CHECK(question({203, 0, 113, 10}, {10, 77, 0, 11}, kRouterMac[5]) == "lan");
    CHECK(question({10, 77, 0, 1}, {10, 77, 0, 11}, kRouterMac[5]) == "service");
    CHECK(question({203, 0, 113, 10}, {192, 0, 2, 1}, kRouterMac[5]) == "service");
    CHECK(question({203, 0, 113, 10}, {10, 77, 0, 11}, 0x77) == "service");
}

TEST_CASE("steer: a filter is told to be of its claim, and by which MAC it was made") {
    const std::vector claims = {claim("203.0.113.10", 80, 80, 6), claim("2001:db8:c::10", 80, 80, 6)};
    int found = 0;
    for (const U32Filter& filter : lan_filters(kRouterMac, lan(), claims, {}, kSolicits)) {
        if (!serves(filter)) {
            continue;
        }
        ++found;
        const bool first = filter.protocol == 0x0800;
        CHECK(is_of(filter, claims[0]) == first);
        CHECK(is_of(filter, claims[1]) != first);
        CHECK_FALSE(is_of(filter, claim("203.0.113.11", 80, 80, 6)));  // of the same mark
        CHECK(mac_of(filter) == kRouterMac);
    }
    CHECK(found == 2);
}

TEST_CASE("steer: an answer to a service's ARP request reaches it, and the router as well") {
    Bytes answer(42, 0);
    std::copy(kRouterMac.begin(), kRouterMac.end(), answer.begin());
    answer[12] = 0x08;
    answer[13] = 0x06;
    answer[21] = 2;  // a reply
    const std::array<std::uint8_t, 4> asked{203, 0, 113, 10};
    std::copy(asked.begin(), asked.end(), answer.begin() + 38);
    const std::vector claims = {claim("203.0.113.10", 80, 80, 6)};
    CHECK(on_lan(claims, answer) == "copy to service, cloud");
    answer[41] = 11;
    CHECK(on_lan(claims, answer) == "cloud");
    answer[41] = 10;
    answer[21] = 1;
    CHECK(on_lan(claims, answer) == "cloud");
}

TEST_CASE("steer: a claim's mark tells it from others, and its slot") {
    const auto mark = [](const char* address, std::uint16_t port, int slot) {
        return claim_mark(prefix(address), port, port, 6, slot);
    };
    CHECK(mark("203.0.113.10", 80, 0) != mark("203.0.113.10", 81, 0));
    CHECK(mark("203.0.113.10", 80, 0) != mark("203.0.113.11", 80, 0));
    CHECK((mark("203.0.113.10", 80, 0) & 1) == 0);
    CHECK(mark("203.0.113.10", 80, 1) == mark("203.0.113.10", 80, 0) + 1);
}

TEST_CASE("match: of filters that stand one decides about a frame, as u32 does") {
    const std::vector claims = {claim("203.0.113.10", 80, 80, 6), claim("203.0.113.0/24", 1, 65'535, 6, kOtherLink),
                                claim("2001:db8:c::10", 80, 80, 6)};
    const KeptFlow kept{*IpAddress::parse("10.77.0.11"), *IpAddress::parse("203.0.113.10"), 40'000, 80, 6, {}};
    std::vector<StandingFilter> standing;
    for (const auto& filter : lan_filters(kRouterMac, lan(), claims, {kept}, kSolicits)) {
        standing.insert(standing.begin(), {filter, 0, 0, 0});
    }
    const auto target = [&](const Frame& frame) {
        const U32Filter* const filter = deciding(standing, build(frame));
        return filter == nullptr ? "cloud" : filter->action == U32Action::leave ? "left" : name_of(filter->target);
    };
    auto frame = tcp("10.77.0.11", "203.0.113.10", kSyn);
    frame.source_port = 40'001;
    CHECK(target(to_port(frame, 80)) == "service");
    CHECK(target(to_port(frame, 81)) == "other service");
    frame.source_port = 40'000;
    CHECK(target(to_port(frame, 80)) == "left");
    CHECK(target(to_port(tcp("2001:db8:77::11", "2001:db8:c::10", kSyn), 80)) == "service");
    CHECK(target(to_port(tcp("2001:db8:78::11", "2001:db8:c::10", kSyn), 80)) == "cloud");
    CHECK(target(to_port(tcp("10.78.0.11", "203.0.113.10", kSyn), 80)) == "cloud");
    CHECK(target(to_port(udp("10.77.0.11", "203.0.113.10"), 80)) == "cloud");
    CHECK(deciding(standing, {}) == nullptr);
    CHECK(deciding(standing, Bytes(14)) == nullptr);
}
