// SPDX-License-Identifier: GPL-2.0-only
// vs_service: what a service begins by itself leaves as far as it is allowed, translated, and nothing else does.
#include <doctest/doctest.h>

#include "base/text.h"
#include "tests/bpf/lab.h"
#include "tests/support/bed.h"

using namespace viscum;

namespace {

/// A lab with an uplink whose service may begin what a test says.
struct Away {
    Away() : lab(Lab::make()), egress(lab ? lab->egress() : LinkEgress{}) {
        REQUIRE(lab);
        REQUIRE(lab->add_internet());
    }
    void allow() { REQUIRE(lab->allow(egress) > 0); }
    void allow_internet() {
        egress.internet = true;
        allow();
    }
    void allow_origins() {
        for (const auto& side : kOutsides) {
            egress.origins.push_back({tcp(side.owned, side.owned, 0).source, tcp(side.origin, side.origin, 0).source});
        }
        allow();
    }
    void add_target(const std::string& prefix, std::uint16_t port, std::uint8_t protocol) {
        egress.targets.push_back({IpPrefix::parse(prefix).value(), port, protocol});
    }

    std::unique_ptr<Lab> lab;
    LinkEgress egress;
};

std::vector<Frame> both_protocols(const std::string& source, const std::string& destination) {
    Frame segment = tcp(source, destination, kSyn);
    Frame datagram = udp(source, destination, "odd");
    datagram.source_port = segment.source_port = 50000;
    return {segment, datagram};
}

/// What `sent` becomes when its addresses are exchanged and all that depends on them made anew.
Bytes with_addresses(Frame sent, const std::string& source, const std::string& destination) {
    const Frame addresses = tcp(source, destination, 0);
    sent.source = addresses.source;
    sent.destination = addresses.destination;
    return build(sent);
}

}  // namespace

TEST_CASE("egress: without an entry nothing that a service begins leaves, whatever stands in other links' entries") {
    Away away;
    away.egress.internet = true;
    REQUIRE(away.lab->allow(away.egress, 1) > 0);
    for (const auto& side : kOutsides) {
        const auto frames = both_protocols(side.owned, side.remote);
        CHECK(away.lab->service(frames[0]).text == "drop: fence-source");
        CHECK(away.lab->service(frames[1]).text == "drop: fence-new-flow");
        CHECK(away.lab->service(frames[0], 1).text == "pass: egress");
        CHECK(away.lab->service(frames[1], 1).text == "pass: egress");
    }
    CHECK(away.lab->link_counters().out == 0);
    CHECK(away.lab->link_counters(1).out == 4);
}

TEST_CASE("egress: an entry that allows nothing lets nothing leave, and says why") {
    Away away;
    away.allow();
    std::uint64_t dropped = 0;
    for (const auto& side : kOutsides) {
        for (const auto& frame : both_protocols(side.owned, side.remote)) {
            CHECK(away.lab->service(frame).text == "drop: egress-not-allowed");
            ++dropped;
        }
        CHECK(away.lab->service(icmp_echo_request(side.owned, side.remote)).text == "drop: fence-protocol");
    }
    CHECK(away.lab->refused("not-allowed") == dropped);
    REQUIRE(away.lab->allow(std::nullopt) > 0);
    CHECK(away.lab->service(tcp(kService4, kOutsides[0].remote, kSyn)).text == "drop: fence-source");
}

TEST_CASE("egress: what leaves comes from the alias, with every checksum right, and is counted") {
    Away away;
    away.allow_internet();
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    for (const auto& side : kOutsides) {
        for (auto frame : both_protocols(side.owned, side.remote)) {
            for (const std::size_t size : {0U, 1U, 2U, 61U, 1200U}) {
                frame.payload.assign(size, 'p');
                const Bytes sent = build(frame);
                const auto outcome = away.lab->service(sent);
                CHECK(outcome.text == "pass: egress");
                CHECK(outcome.frame == with_addresses(frame, side.alias, side.remote));
                CHECK(checksums_right(outcome.frame));
                ++packets;
                bytes += sent.size() - 14;
            }
        }
    }
    CHECK(away.lab->link_counters().out == packets);
    CHECK(away.lab->link_counters().out_bytes == bytes);
}

TEST_CASE("egress: checksums stay right for any payload, those that end up as zero or all ones included") {
    Away away;
    away.allow_internet();
    for (const auto& side : kOutsides) {
        Frame frame = both_protocols(side.owned, side.remote)[1];
        int all_ones = 0;
        for (int value = 0; value < 65'536; ++value) {
            frame.payload = {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
            const Bytes expected = with_addresses(frame, side.alias, side.remote);
            const std::size_t at = side.owned == kService4 ? 40 : 60;
            if (expected[at] != 0xff || expected[at + 1] < 0xf0) {
                continue;
            }
            all_ones += expected[at + 1] == 0xff ? 1 : 0;
            REQUIRE(away.lab->service(frame).frame == expected);
        }
        CHECK(all_ones > 0);
    }
    Frame bare = both_protocols(kService4, kOutsides[0].remote)[1];
    Bytes sent = build(bare);
    sent[40] = sent[41] = 0;
    const auto outcome = away.lab->service(sent);
    CHECK(outcome.text == "pass: egress");
    CHECK(outcome.frame[40] == 0);
    CHECK(outcome.frame[41] == 0);
    CHECK(checksums_right(outcome.frame));
}

TEST_CASE("egress: only the address that the alias stands for may begin anything") {
    Away away;
    away.allow_internet();
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"203.0.113.11", "203.0.113.200"}, {"198.19.0.1", "203.0.113.200"},       {"10.77.0.99", "203.0.113.200"},
        {"0.0.0.0", "203.0.113.200"},      {"2001:db8:c::11", "2001:db8:e::200"}, {"::", "2001:db8:e::200"},
        {"fe80::1", "2001:db8:e::200"}};
    for (const auto& addresses : wrong) {
        CAPTURE(addresses.first);
        for (const auto& frame : both_protocols(addresses.first, addresses.second)) {
            CHECK(away.lab->service(frame).text == "drop: egress-not-owned");
        }
    }
    CHECK(away.lab->refused("not-owned") == 2 * wrong.size());
    away.egress.v6.reset();
    away.allow();
    CHECK(away.lab->service(tcp("::", "2001:db8:e::200", kSyn)).text == "drop: egress-not-owned");
    CHECK(away.lab->service(tcp(kService6, "2001:db8:e::200", kSyn)).text == "drop: egress-not-owned");
}

TEST_CASE("egress: the internet is neither special-purpose nor the LAN nor the router nor another service") {
    Away away;
    away.allow_internet();
    std::vector<std::string> special{"0.0.0.0",         "0.1.2.3",         "10.0.0.1",       "10.77.0.10",
                                     "100.64.0.1",      "100.127.255.255", "127.0.0.1",      "169.254.169.254",
                                     "172.16.0.1",      "172.31.255.255",  "192.0.0.8",      "192.168.0.1",
                                     "192.168.255.255", "198.18.0.1",      "198.19.255.255", "198.19.0.1",
                                     "224.0.0.251",     "239.255.255.250", "240.0.0.1",      "255.255.255.255"};
    const std::vector<std::string> special6{
        "::1",        "::",     "fe80::1",     "fc00::1", "fd76:6973:6375:6d::1", "ff02::1",
        "64:ff9b::a", "100::1", "2002:a00::1", "4000::1", "::203.0.113.1"};
    special.insert(special.end(), special6.begin(), special6.end());
    for (const auto& destination : special) {
        CAPTURE(destination);
        const bool v4 = destination.find(':') == std::string::npos;
        for (const auto& frame : both_protocols(v4 ? kService4 : kService6, destination)) {
            CHECK(away.lab->service(frame).text == "drop: egress-private");
        }
    }
    CHECK(away.lab->refused("private") == 2 * special.size());
    // Public addresses that are the router's own, on its LAN, on its uplink's network, or behind another link.
    const auto here = NetNs::current();
    REQUIRE(here);
    REQUIRE(ip_batch(*here,
                     "address add 198.51.100.1/24 dev lan0\nroute add 203.0.113.64/26 via 10.77.0.10\n"
                     "route add 203.0.113.5/32 dev svc1\nroute add blackhole 203.0.113.6/32\n"
                     "route add 2001:db8:9::/64 via 2001:db8:77::10\nroute add 2001:db8:8::5/128 dev svc1\n"));
    for (const auto* destination :
         {"198.51.100.1", "198.51.100.7", "198.51.100.255", "203.0.113.70", "203.0.113.5", "203.0.113.6", "192.0.2.1",
          "192.0.2.2", "192.0.2.77", "192.0.2.255", "2001:db8:77::1", "2001:db8:77::10", "2001:db8:9::1",
          "2001:db8:8::5", "2001:db8:1::1", "2001:db8:1::2"}) {
        CAPTURE(destination);
        const bool v4 = std::string(destination).find(':') == std::string::npos;
        CHECK(away.lab->service(tcp(v4 ? kService4 : kService6, destination, kSyn)).text == "drop: egress-private");
    }
    for (const auto* destination :
         {"1.1.1.1",     "9.255.255.255", "11.0.0.0",          "100.63.255.255", "100.128.0.0",     "126.1.1.1",
          "128.0.0.1",   "169.253.0.1",   "169.255.0.1",       "172.15.255.255", "172.32.0.0",      "192.0.1.1",
          "192.167.1.1", "192.169.0.0",   "198.17.255.255",    "198.20.0.0",     "223.255.255.255", "203.0.113.200",
          "2000::1",     "2606:4700::1",  "3fff:ffff:ffff::1", "2001:db8:e::200"}) {
        CAPTURE(destination);
        const bool v4 = std::string(destination).find(':') == std::string::npos;
        CHECK(away.lab->service(tcp(v4 ? kService4 : kService6, destination, kSyn)).text == "pass: egress");
    }
}

TEST_CASE("egress: without a default route there is no internet, and a default route without gateway is one") {
    Away away;
    away.allow_internet();
    const auto here = NetNs::current();
    REQUIRE(here);
    REQUIRE(ip_batch(*here, "route del default\nroute del ::/0\n"));
    for (const auto& side : kOutsides) {
        CHECK(away.lab->service(tcp(side.owned, side.remote, kSyn)).text == "drop: egress-no-route");
    }
    CHECK(away.lab->refused("no-route") == 2);
    REQUIRE(ip_batch(*here, "route add default dev wan0\nroute add ::/0 dev wan0\n"));
    for (const auto& side : kOutsides) {
        CHECK(away.lab->service(tcp(side.owned, side.remote, kSyn)).text == "pass: egress");
    }
    CHECK(away.lab->service(tcp(kService6, "2001:db8:77::10", kSyn)).text == "drop: egress-private");
}

TEST_CASE("egress: a list allows what it names: prefix, port and protocol, of its family alone") {
    Away away;
    away.add_target("203.0.113.192/28", 443, IPPROTO_TCP);
    away.add_target("203.0.113.200", 53, IPPROTO_UDP);
    away.add_target("10.77.0.10", 0, IPPROTO_TCP);
    away.add_target("::/0", 8080, IPPROTO_TCP);
    away.add_target("2001:db8:e::/64", 0, IPPROTO_UDP);
    away.allow();
    struct Case {
        std::string destination;
        std::uint16_t port;
        bool tcp;
        bool udp;
    };
    for (const auto& entry : std::vector<Case>{{"203.0.113.200", 443, true, false},
                                               {"203.0.113.207", 443, true, false},
                                               {"203.0.113.208", 443, false, false},
                                               {"203.0.113.200", 444, false, false},
                                               {"203.0.113.200", 53, false, true},
                                               {"203.0.113.201", 53, false, false},
                                               {"10.77.0.10", 1, true, false},
                                               {"10.77.0.11", 1, false, false},
                                               {"203.0.113.1", 8080, false, false},
                                               {"2001:db8:1234::1", 8080, true, false},
                                               {"2001:db8:1234::1", 8081, false, false},
                                               {"2001:db8:e::1", 8080, true, true},
                                               {"2001:db8:e::1", 1, false, true}}) {
        CAPTURE(entry.destination);
        CAPTURE(entry.port);
        const bool v4 = entry.destination.find(':') == std::string::npos;
        auto frames = both_protocols(v4 ? kService4 : kService6, entry.destination);
        frames[0].destination_port = frames[1].destination_port = entry.port;
        CHECK(away.lab->service(frames[0]).text == (entry.tcp ? "pass: egress" : "drop: egress-not-allowed"));
        CHECK(away.lab->service(frames[1]).text == (entry.udp ? "pass: egress" : "drop: egress-not-allowed"));
    }
    away.egress.targets.erase(away.egress.targets.begin());
    away.allow();
    Frame frame = tcp(kService4, "203.0.113.200", kSyn);
    frame.destination_port = 443;
    CHECK(away.lab->service(frame).text == "drop: egress-not-allowed");
}

TEST_CASE(
    "egress: an origin's alias stands for the address that the service owns, at any port, and nothing else does") {
    Away away;
    away.allow_origins();
    for (const auto& side : kOutsides) {
        for (auto frame : both_protocols(side.owned, side.origin)) {
            for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{443}, std::uint16_t{65'535}}) {
                frame.destination_port = port;
                const auto outcome = away.lab->service(frame);
                CHECK(outcome.text == "pass: egress");
                CHECK(outcome.frame == with_addresses(frame, side.alias, side.owned));
                CHECK(checksums_right(outcome.frame));
            }
        }
        CHECK(away.lab->service(tcp(side.owned, side.remote, kSyn)).text == "drop: egress-not-allowed");
        CHECK(away.lab->service(tcp(side.owned, side.alias, kSyn)).text == "drop: egress-not-allowed");
    }
    CHECK(away.lab->service(tcp(kService4, "198.19.0.3", kSyn)).text == "drop: egress-not-allowed");
    CHECK(away.lab->service(tcp(kService6, "fd76:6973:6375:6d::3", kSyn)).text == "drop: egress-not-allowed");
}

TEST_CASE("egress: each of the most origins has its alias, and one more is refused") {
    Away away;
    for (std::size_t i = 0; i < LinkEgress::kMaxOrigins; ++i) {
        const auto owned = cat("203.0.113.", 100 + i);
        away.egress.origins.push_back({tcp(owned, owned, 0).source, tcp(cat("198.19.0.", 10 + i), owned, 0).source});
    }
    away.allow();
    for (std::size_t i = 0; i < LinkEgress::kMaxOrigins; ++i) {
        const Frame frame = tcp(kService4, cat("198.19.0.", 10 + i), kSyn);
        CHECK(away.lab->service(frame).frame == with_addresses(frame, "198.19.0.1", cat("203.0.113.", 100 + i)));
    }
    away.egress.origins.push_back(away.egress.origins[0]);
    auto table = LinkTable::adopt(away.lab->datapath());
    const auto refused = table.apply(away.lab->link_of(0), away.egress);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().errno_code == EINVAL);
}

TEST_CASE("egress: fragments follow the first one, translated, and none goes without it") {
    Away away;
    away.allow_origins();
    away.allow_internet();
    for (const auto& side : kOutsides) {
        for (const auto& destination : {side.remote, side.origin}) {
            Frame frame = udp(side.owned, destination);
            frame.source_port = 50000;
            frame.payload.assign(150, 'f');
            const Frame end = tcp(side.alias, destination == side.origin ? side.owned : destination, 0);
            Frame translated = frame;
            translated.source = end.source;
            translated.destination = end.destination;
            const std::uint32_t id = destination == side.origin ? 5 : 6;
            const auto sent = build_fragments(frame, id, 64);
            const auto expected = build_fragments(translated, id, 64);
            REQUIRE(sent.size() == 3);
            CHECK(away.lab->service(sent[1]).text == "drop: fence-source");
            for (std::size_t i = 0; i < sent.size(); ++i) {
                const auto outcome = away.lab->service(sent[i]);
                CHECK(outcome.text == "pass: egress");
                CHECK(outcome.frame == expected[i]);
            }
            CHECK(away.lab->service(sent[2], 1).text == "drop: fence-source");
            CHECK(away.lab->service(build_fragments(frame, id + 10, 64)[1]).text == "drop: fence-source");
        }
        Frame refused = udp(side.owned, side.owned == kService4 ? "10.77.0.10" : "2001:db8:77::10");
        refused.payload.assign(150, 'f');
        const auto sent = build_fragments(refused, 9, 64);
        CHECK(away.lab->service(sent[0]).text == "drop: egress-private");
        CHECK(away.lab->service(sent[1]).text == "drop: fence-source");
    }
}

TEST_CASE("egress: a packet with options that could lead it elsewhere stays here") {
    Away away;
    away.allow_internet();
    Frame frame = tcp(kService4, kOutsides[0].remote, kSyn);
    frame.ip_options = 8;
    CHECK(away.lab->service(frame).text == "drop: egress-not-allowed");
    frame = tcp(kService6, kOutsides[1].remote, kSyn);
    frame.extensions = {{IPPROTO_ROUTING, 2, 1}};
    CHECK(away.lab->service(frame).text == "drop: fence-protocol");
}

TEST_CASE("egress: from a port that the service serves it answers, and begins nothing") {
    Away away;
    away.allow_internet();
    for (std::size_t i = 0; i < kFamilies.size(); ++i) {
        const auto& family = kFamilies[i];
        Lab& lab = *away.lab;
        REQUIRE(lab.apply(lab.usual_rules(family)) > 0);
        const auto listener = listen_tcp(lab.namespace_of(0), family.service, 80);
        const auto socket = bind_udp(lab.namespace_of(0), family.service, 53);
        Frame frame = tcp(family.service, kOutsides[i].remote, kSyn);
        frame.source_port = 80;
        CHECK(lab.service(frame).text == "drop: fence-new-flow");
        frame.flags = kAck;
        CHECK(lab.service(frame).text == "drop: fence-new-flow");
        const Frame question = udp(family.client, family.service);
        REQUIRE(lab.lan(question).text == "redirect: served");
        CHECK(lab.service(turned(question)).text == "redirect: replied");
    }
}
