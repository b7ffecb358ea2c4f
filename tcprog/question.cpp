// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/question.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <cstring>

namespace viscum {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, 6> kNeighbour{0x02, 0x56, 0x53, 0xff, 0xff, 0xff};
constexpr std::uint8_t kHops = 64;
constexpr std::uint16_t kWindow = 65535;

template <class Header>
void append(Bytes& bytes, const Header& header) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(&header);
    bytes.insert(bytes.end(), first, first + sizeof header);
}

/// RFC 1071, of an even number of bytes.
std::uint16_t checksum(const Bytes& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at + 1 < bytes.size(); at += 2) {
        sum += static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return htons(static_cast<std::uint16_t>(~sum));
}

/// What TCP and UDP sum up with their own bytes (RFC 9293, 3.1; RFC 8200, 8.1).
Bytes pseudo_header(const Question& question, std::size_t length) {
    Bytes bytes;
    const std::size_t width = question.source.is_v4() ? 4 : 16;
    bytes.insert(bytes.end(), question.source.wire(), question.source.wire() + width);
    bytes.insert(bytes.end(), question.destination.wire(), question.destination.wire() + width);
    append(bytes, htons(question.protocol));
    append(bytes, htons(static_cast<std::uint16_t>(length)));
    return bytes;
}

template <class Header, class Sum>
Bytes summed(const Question& question, Header header, Sum Header::*sum) {
    Bytes bytes = pseudo_header(question, sizeof header);
    append(bytes, header);
    header.*sum = checksum(bytes);
    Bytes out;
    append(out, header);
    return out;
}

Bytes transport(const Question& question) {
    if (question.protocol == IPPROTO_UDP) {
        udphdr udp{};
        udp.uh_sport = htons(question.source_port);
        udp.uh_dport = htons(question.destination_port);
        udp.uh_ulen = htons(sizeof udp);
        return summed(question, udp, &udphdr::uh_sum);
    }
    tcphdr tcp{};
    tcp.th_sport = htons(question.source_port);
    tcp.th_dport = htons(question.destination_port);
    tcp.th_seq = htonl(1);  // 0 is what a refusal has
    tcp.th_off = sizeof tcp / 4;
    tcp.th_flags = question.tcp_flags;
    tcp.th_win = htons(kWindow);
    return summed(question, tcp, &tcphdr::th_sum);
}

void append_network(Bytes& bytes, const Question& question, std::size_t length) {
    if (question.source.is_v4()) {
        iphdr ip{};
        ip.version = 4;
        ip.ihl = sizeof ip / 4;
        ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + length));
        ip.ttl = kHops;
        ip.protocol = question.protocol;
        std::memcpy(&ip.saddr, question.source.wire(), sizeof ip.saddr);
        std::memcpy(&ip.daddr, question.destination.wire(), sizeof ip.daddr);
        Bytes header;
        append(header, ip);
        ip.check = checksum(header);
        append(bytes, ip);
        return;
    }
    ip6_hdr ip{};
    ip.ip6_flow = htonl(6U << 28);
    ip.ip6_plen = htons(static_cast<std::uint16_t>(length));
    ip.ip6_nxt = question.protocol;
    ip.ip6_hlim = kHops;
    std::memcpy(&ip.ip6_src, question.source.wire(), sizeof ip.ip6_src);
    std::memcpy(&ip.ip6_dst, question.destination.wire(), sizeof ip.ip6_dst);
    append(bytes, ip);
}

}  // namespace

std::vector<std::uint8_t> frame_of(const Question& question, const std::array<std::uint8_t, 6>& to) {
    Bytes bytes(to.begin(), to.end());
    bytes.insert(bytes.end(), kNeighbour.begin(), kNeighbour.end());
    append(bytes, htons(question.source.is_v4() ? ETH_P_IP : ETH_P_IPV6));
    const Bytes segment = transport(question);
    append_network(bytes, question, segment.size());
    bytes.insert(bytes.end(), segment.begin(), segment.end());
    return bytes;
}

}  // namespace viscum
