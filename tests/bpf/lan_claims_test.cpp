// SPDX-License-Identifier: GPL-2.0-only
// What is claimed, and what is not: prefixes, ranges, other hosts' frames, headers that are odd.
#include <doctest/doctest.h>

#include <net/ethernet.h>

#include <random>

#include "base/text.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"
#include "tests/support/campaign.h"

using namespace viscum;

namespace {

constexpr std::uint16_t kStag = 0x88a8;

Frame to_port(Frame frame, std::uint16_t port) {
    frame.destination_port = port;
    return frame;
}

}  // namespace

TEST_CASE("bpf: prefixes, ranges and any claim what they say, and the longer prefix wins") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    const std::vector<Rule> rules{
        lab->rule("198.51.100.0/24", 8000, 8100, IPPROTO_TCP), lab->rule("198.51.100.16/28", 0, 65535, IPPROTO_TCP),
        lab->rule("198.51.100.20", 8050, IPPROTO_TCP),         lab->rule("2001:db8:5::/48", 8000, 8100, IPPROTO_TCP),
        lab->rule("2001:db8:5:1::/64", 0, 65535, IPPROTO_TCP), lab->rule("2001:db8:5:1::20", 8050, IPPROTO_TCP)};
    REQUIRE(lab->apply(rules) > 0);
    struct Probe {
        std::string client;
        std::string address;
        std::uint16_t port;
        std::optional<std::size_t> rule;
    };
    for (const auto& [client, address, port, rule] : std::vector<Probe>{{kClient4, "198.51.100.1", 8000, 0},
                                                                        {kClient4, "198.51.100.1", 8100, 0},
                                                                        {kClient4, "198.51.100.1", 7999, {}},
                                                                        {kClient4, "198.51.100.1", 8101, {}},
                                                                        {kClient4, "198.51.101.1", 8000, {}},
                                                                        {kClient4, "198.51.100.17", 8050, 1},
                                                                        {kClient4, "198.51.100.31", 1, 1},
                                                                        {kClient4, "198.51.100.32", 8050, 0},
                                                                        {kClient4, "198.51.100.20", 8050, 2},
                                                                        {kClient4, "198.51.100.20", 8051, 1},
                                                                        {kClient6, "2001:db8:5::1", 8000, 3},
                                                                        {kClient6, "2001:db8:5:ffff::1", 8100, 3},
                                                                        {kClient6, "2001:db8:5::1", 8101, {}},
                                                                        {kClient6, "2001:db8:6::1", 8000, {}},
                                                                        {kClient6, "2001:db8:5:1::1", 65535, 4},
                                                                        {kClient6, "2001:db8:5:2::1", 8050, 3},
                                                                        {kClient6, "2001:db8:5:1::20", 8050, 5},
                                                                        {kClient6, "2001:db8:5:1::20", 0, 4}}) {
        CAPTURE(address);
        CAPTURE(port);
        const auto before = rule ? lab->counters(rules[*rule]).flows_cloud : 0;
        const auto text = lab->lan(to_port(tcp(client, address, kSyn), port)).text;
        CHECK(text == (rule ? "pass: no-listener" : "pass: unclaimed"));
        CHECK((!rule || lab->counters(rules[*rule]).flows_cloud == before + 1));
        Frame datagram = to_port(udp(client, address), port);
        CHECK(lab->lan(datagram).text == "pass: unclaimed");
    }
}

TEST_CASE("bpf: any port of a prefix is served by a wildcard listener") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    REQUIRE(lab->apply({lab->rule("198.51.100.0/24", 0, 65535, IPPROTO_TCP),
                        lab->rule("2001:db8:5::/48", 0, 65535, IPPROTO_UDP)}) > 0);
    const auto listener = listen_tcp(lab->namespace_of(0), "0.0.0.0", 8080);
    const auto socket = bind_udp(lab->namespace_of(0), "::", 8080);
    CHECK(lab->lan(to_port(tcp(kClient4, "198.51.100.77", kSyn), 8080)).text == "redirect: served");
    CHECK(lab->lan(to_port(tcp(kClient4, "198.51.100.77", kSyn), 8081)).text == "pass: no-listener");
    CHECK(lab->lan(to_port(udp(kClient6, "2001:db8:5::77"), 8080)).text == "redirect: served");
}

TEST_CASE("bpf: among ten thousand rules the right one is found") {
    const auto lab = Lab::make({.rules = 10'000, .flows = 64, .fragments = 16});
    REQUIRE(lab);
    std::vector<Rule> rules;
    for (int i = 0; i < 5'000; ++i) {
        const auto port = static_cast<std::uint16_t>(1 + i);
        rules.push_back(lab->rule(cat("203.0.", i / 256, '.', i % 256), port));
        rules.push_back(
            lab->rule(cat("2001:db8:5:", hex(static_cast<std::uint64_t>(i), 4), "::/64"), port, 65535, IPPROTO_TCP));
    }
    REQUIRE(lab->apply(rules) > 0);
    CHECK(lab->apply(rules) == 0);
    const std::uint32_t seed = campaign_seed();
    MESSAGE("seed " << seed);
    std::mt19937 random(seed);
    for (int probe = 0; probe < 300; ++probe) {
        const Rule& rule = rules[random() % rules.size()];
        const bool v4 = rule.key.prefix.address.is_v4();
        Frame syn = to_port(tcp(v4 ? kClient4 : kClient6, "::", kSyn), rule.key.first_port);
        syn.destination = rule.key.prefix.address;
        const auto before = lab->counters(rule).flows_cloud;
        REQUIRE(lab->lan(syn).text == "pass: no-listener");
        REQUIRE(lab->counters(rule).flows_cloud == before + 1);
        syn.destination_port = static_cast<std::uint16_t>(rule.key.first_port - 1);
        REQUIRE(lab->lan(syn).text == "pass: unclaimed");
    }
}

TEST_CASE("bpf: what has the filter's bit of a claimed address is told by the rules") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    const Rule rule = lab->rule(kService4, 80);
    REQUIRE(lab->apply({rule}) > 0);
    const auto socket = listen_tcp(lab->namespace_of(0), kService4, 80);
    const auto bit_of = [](const std::string& text) {
        const vs_addr address = abi_address(IpAddress::parse(text).value());
        return vs_filter_bit(&address);
    };
    std::string twin;
    for (int i = 0; twin.empty() && i < 1 << 24; ++i) {
        const std::string text = cat("100.", i >> 16, '.', (i >> 8) & 255, '.', i & 255);
        twin = bit_of(text) == bit_of(kService4) ? text : "";
    }
    REQUIRE_FALSE(twin.empty());
    Frame broken = tcp(kClient4, "192.0.2.1", kSyn);
    Bytes bytes = build(broken);
    bytes[14] = 0x65;  // another version
    CHECK(lab->lan(bytes).text == "pass: unclaimed");
    broken = tcp(kClient4, twin, kSyn);
    bytes = build(broken);
    bytes[14] = 0x65;
    CHECK(lab->lan(bytes).text == "pass: malformed");
    CHECK(lab->lan(broken).text == "pass: unclaimed");
    CHECK(lab->lan(tcp(kClient4, kService4, kSyn)).text == "redirect: served");
    const Rule other = lab->rule(twin, 80);
    REQUIRE(lab->apply({rule, other}) > 0);
    REQUIRE(lab->apply({rule}) > 0);  // the bit is still the first one's
    CHECK(lab->lan(tcp(kClient4, kService4, kSyn)).text == "redirect: served");
}

TEST_CASE("bpf: frames for other hosts and for everybody are left alone") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    for (const auto& family : kFamilies) {
        REQUIRE(lab->apply(lab->usual_rules(family)) > 0);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        for (const auto& mac : {kServiceMac, kBroadcastMac, MacAddress{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}}) {
            Frame syn = tcp(family.client, family.service, kSyn);
            syn.to_mac = mac;
            CHECK(lab->lan(syn).text == "pass: other-host");
            Frame question = udp(family.client, family.service);
            question.to_mac = mac;
            CHECK(lab->lan(question).text == "pass: other-host");
        }
        CHECK(lab->datapath().flows.entries(100).empty());
    }
}

TEST_CASE("bpf: a bridge's port takes frames for the bridge, and still none for others") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    const MacAddress bridge{0x02, 0x00, 0x5e, 0x00, 0x00, 0x77};
    MacAddress neighbour = bridge;
    neighbour[5] ^= 1;
    CHECK(*lab->table().set_lan_device(lab->lan_device(), bridge) == 1);
    CHECK(*lab->table().set_lan_device(lab->lan_device(), bridge) == 0);
    for (const auto& family : kFamilies) {
        REQUIRE(lab->apply(lab->usual_rules(family)) > 0);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        Frame syn = tcp(family.client, family.service, kSyn);
        CHECK(lab->lan(syn).text == "redirect: served");
        syn.to_mac = bridge;
        CHECK(lab->lan(syn).text == "redirect: served");
        for (const auto& mac : {neighbour, kBroadcastMac}) {
            syn.to_mac = mac;
            CHECK(lab->lan(syn).text == "pass: other-host");
        }
    }
    CHECK(*lab->table().set_lan_device(lab->lan_device(), std::nullopt) == 1);
    CHECK(*lab->table().set_lan_device(lab->lan_device(), std::nullopt) == 0);
    Frame syn = tcp(kClient6, kService6, kSyn);
    syn.to_mac = bridge;
    CHECK(lab->lan(syn).text == "pass: other-host");
}

TEST_CASE("bpf: a frame for the bridge that came through its port arrives") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->attach());
        const MacAddress bridge{0x02, 0x00, 0x5e, 0x00, 0x00, 0x77};
        REQUIRE(lab->table().set_lan_device(lab->lan_device(), bridge));
        REQUIRE(lab->apply({lab->rule(family.service, 80)}) > 0);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        const auto client = RawClient::open(lab->client());
        REQUIRE(client);
        Frame syn = tcp(family.client, family.service, kSyn);
        syn.to_mac = bridge;
        RawConnection connection(*client, syn);
        CHECK(connection.connect());
    }
}

TEST_CASE("bpf: what we do not understand passes under its own name") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    std::vector<Rule> rules = lab->usual_rules(kFamilies[0]);
    const auto rules6 = lab->usual_rules(kFamilies[1]);
    rules.insert(rules.end(), rules6.begin(), rules6.end());
    REQUIRE(lab->apply(rules) > 0);
    for (const auto& family : kFamilies) {
        const bool v4 = family.client == kClient4;
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        const Frame syn = tcp(family.client, family.service, kSyn);
        for (const auto& tags : {std::vector<std::uint16_t>{ETHERTYPE_VLAN}, {kStag}, {kStag, ETHERTYPE_VLAN}}) {
            Frame tagged = syn;
            tagged.tags = tags;
            CHECK(lab->lan(tagged).text == "pass: vlan");
        }
        Bytes bytes = build(syn);
        bytes[12] = 0x08;
        bytes[13] = 0x06;
        CHECK(lab->lan(bytes).text == "pass: not-ip");
        bytes = build(syn);
        bytes[14] = static_cast<std::uint8_t>(bytes[14] ^ 0x10);
        CHECK(lab->lan(bytes).text == "pass: malformed");
        bytes = build(syn);
        bytes[v4 ? 46 : 66] = 0x40;  // a TCP header of 16 bytes
        CHECK(lab->lan(bytes).text == "pass: malformed");
        bytes.pop_back();
        CHECK(lab->lan(bytes).text == "pass: truncated");
        Frame other = syn;
        other.protocol = IPPROTO_SCTP;
        CHECK(lab->lan(other).text == "pass: unclaimed");
        CHECK(lab->lan(icmp_echo_request(family.client, family.service)).text == "pass: unclaimed");
    }
    const auto address = IpAddress::parse(kService4).value();
    Bytes mapped = build(tcp(kClient6, kService6, kSyn));
    std::copy(address.bytes.begin(), address.bytes.end(), mapped.begin() + 38);
    CHECK(lab->lan(mapped).text == "pass: malformed");
    mapped = build(tcp(kClient6, kService6, kSyn));
    std::copy(address.bytes.begin(), address.bytes.end(), mapped.begin() + 22);
    CHECK(lab->lan(mapped).text == "pass: malformed");
    Frame behind = tcp(kClient6, kService6, kSyn);
    behind.extensions = {{IPPROTO_ROUTING, 2, 1}};
    CHECK(lab->lan(behind).text == "pass: extension-header");
    behind.extensions.assign(7, {IPPROTO_DSTOPTS, 0, 0});
    CHECK(lab->lan(behind).text == "pass: extension-header");
    behind.extensions.clear();
    behind.protocol = IPPROTO_ESP;
    CHECK(lab->lan(behind).text == "pass: extension-header");
}

TEST_CASE("bpf: headers that lie about their length, or are one too many, pass under the right name") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    Bytes bytes = build(tcp(kClient4, kService4, kSyn));
    bytes[16] = bytes[17] = 0;  // no total length
    CHECK(lab->lan(bytes).text == "pass: malformed");
    bytes[20] = 0x20;
    bytes[21] = 1;  // nor in a later fragment
    CHECK(lab->lan(bytes).text == "pass: malformed");
    Frame frame = tcp(kClient6, kService6, kSyn);
    frame.protocol = IPPROTO_SCTP;
    frame.extensions = {{IPPROTO_DSTOPTS, 0, 0}};
    bytes = build(frame);
    CHECK(lab->lan(bytes).text == "pass: extension-header");
    bytes[55] = 9;  // the options end behind the packet
    CHECK(lab->lan(bytes).text == "pass: truncated");
    frame = udp(kClient6, kService6, std::string(100, 'x'));
    frame.extensions.assign(6, {IPPROTO_DSTOPTS, 0, 0});
    CHECK(lab->lan(build_fragments(frame, 3, 64)[1]).text == "pass: extension-header");
    bytes = build_fragments(frame, 3, 64)[1];
    bytes[54 + 5 * 8 + 1] = 20;  // the sixth ends behind the packet, so there is no seventh
    CHECK(lab->lan(bytes).text == "pass: truncated");
}

TEST_CASE("bpf: options and extension headers do not hide a claimed packet") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    REQUIRE(lab->apply({lab->rule(kService4, 80), lab->rule(kService6, 80)}) > 0);
    const auto listener4 = listen_tcp(lab->namespace_of(0), kService4, 80);
    const auto listener6 = listen_tcp(lab->namespace_of(0), kService6, 80);
    for (const int options : {4, 20, 40}) {
        Frame syn = tcp(kClient4, kService4, kSyn);
        syn.ip_options = options;
        CHECK(lab->lan(syn).text == "redirect: served");
    }
    for (const auto& extensions :
         std::vector<std::vector<Extension>>{{{IPPROTO_HOPOPTS, 0, 0}},
                                             {{IPPROTO_HOPOPTS, 4, 0}, {IPPROTO_DSTOPTS, 1, 0}},
                                             {{IPPROTO_ROUTING, 2, 0}},
                                             {6, {IPPROTO_DSTOPTS, 0, 0}}}) {
        Frame syn = tcp(kClient6, kService6, kSyn);
        syn.extensions = extensions;
        CHECK(lab->lan(syn).text == "redirect: served");
    }
}
