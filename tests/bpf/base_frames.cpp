// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bpf/base_frames.h"

#include <net/ethernet.h>

#include "base/text.h"
#include "tests/bpf/lab.h"

namespace viscum {
namespace {

constexpr std::uint16_t kStag = 0x88a8;

void add_family(std::vector<NamedFrame>& out, const Family& family, const std::string& name) {
    const auto add = [&](const std::string& what, const Bytes& bytes) {
        out.push_back({cat(name, ": ", what), bytes});
    };
    const Frame syn = tcp(family.client, family.service, kSyn);
    const Frame question = udp(family.client, family.service);
    Frame segment = tcp(family.client, family.service, kAck | kPsh);
    segment.payload.assign(64, 'x');
    Frame other_port = syn;
    other_port.destination_port = 81;
    Frame other_host = syn;
    other_host.to_mac = kServiceMac;
    Frame everybody = question;
    everybody.to_mac = kBroadcastMac;
    Frame tagged = syn;
    tagged.tags = {ETHERTYPE_VLAN};
    Frame twice_tagged = syn;
    twice_tagged.tags = {kStag, ETHERTYPE_VLAN};
    Frame long_question = question;
    long_question.payload.assign(100, 'q');
    Frame foreign = syn;
    foreign.destination = tcp(family.client, family.other_service, kSyn).destination;

    add("SYN", build(syn));
    add("SYN with ECN", build(tcp(family.client, family.service, kSyn | kEce | kCwr)));
    add("ACK", build(tcp(family.client, family.service, kAck)));
    add("segment", build(segment));
    add("FIN", build(tcp(family.client, family.service, kFin | kAck)));
    add("RST", build(tcp(family.client, family.service, kRst)));
    add("datagram", build(question));
    add("another port", build(other_port));
    add("another address", build(foreign));
    add("for another host", build(other_host));
    add("for everybody", build(everybody));
    add("tagged", build(tagged));
    add("tagged twice", build(twice_tagged));
    const auto parts = build_fragments(long_question, 7, 48);
    add("first fragment", parts[0]);
    add("later fragment", parts[1]);
    add("echo request", icmp_echo_request(family.client, family.service));
    const bool v4 = syn.source.is_v4();
    add("too big, TCP", icmp_error(turned(segment), v4 ? 3 : 2, v4 ? 4 : 0));
    add("unreachable, UDP", icmp_error(turned(question), v4 ? 3 : 1, v4 ? 3 : 4));
}

void add_v4(std::vector<NamedFrame>& out) {
    Frame options = tcp(kClient4, kService4, kSyn);
    options.ip_options = 4;
    out.push_back({"IPv4: SYN with one word of options", build(options)});
    options.ip_options = 40;
    out.push_back({"IPv4: SYN with all options", build(options)});
    Frame padded = udp(kClient4, kService4, "");
    Bytes bytes = build(padded);
    bytes.resize(60);
    out.push_back({"IPv4: datagram with Ethernet padding", bytes});
    Frame empty = udp(kClient4, kService4);
    empty.fragment = Fragment{};
    bytes = build(empty);
    const Bytes real = build(udp(kClient4, kService4, ""));
    bytes.insert(bytes.end(), real.begin() + 34, real.end());
    out.push_back({"IPv4: no datagram but Ethernet padding that looks like one", bytes});
}

void add_v6(std::vector<NamedFrame>& out) {
    Frame frame = tcp(kClient6, kService6, kSyn);
    frame.extensions = {{IPPROTO_HOPOPTS, 0, 0}};
    out.push_back({"IPv6: SYN behind hop-by-hop options", build(frame)});
    frame.extensions = {
        {IPPROTO_HOPOPTS, 0, 0}, {IPPROTO_DSTOPTS, 1, 0}, {IPPROTO_ROUTING, 2, 0}, {IPPROTO_DSTOPTS, 0, 0}};
    out.push_back({"IPv6: SYN behind four headers", build(frame)});
    frame.extensions = {{IPPROTO_ROUTING, 2, 1}};
    out.push_back({"IPv6: SYN not yet at its destination", build(frame)});
    frame.extensions.assign(6, {IPPROTO_DSTOPTS, 0, 0});
    out.push_back({"IPv6: SYN behind as many headers as are read", build(frame)});
    frame.extensions.assign(7, {IPPROTO_DSTOPTS, 0, 0});
    out.push_back({"IPv6: SYN behind one header too many", build(frame)});
    Frame atomic = udp(kClient6, kService6);
    atomic.extensions = {{IPPROTO_DSTOPTS, 0, 0}};
    for (const auto& bytes : build_fragments(atomic, 9, 64)) {
        out.push_back({"IPv6: an atomic fragment behind options", bytes});
    }
}

}  // namespace

std::vector<NamedFrame> base_frames() {
    std::vector<NamedFrame> out;
    add_family(out, kFamilies[0], "IPv4");
    add_family(out, kFamilies[1], "IPv6");
    add_v4(out);
    add_v6(out);
    Bytes bytes = build(tcp(kClient4, kService4, kSyn));
    bytes[12] = 0x08;
    bytes[13] = 0x06;
    out.push_back({"ARP", bytes});
    return out;
}

}  // namespace viscum
