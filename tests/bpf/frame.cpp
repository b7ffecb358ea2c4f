// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bpf/frame.h"

#include <net/ethernet.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kIpv6Header = 40;

void put16(Bytes& out, std::uint32_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
}

void put32(Bytes& out, std::uint32_t value) {
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}

void set16(Bytes& out, std::size_t at, std::uint32_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

void put(Bytes& out, const Bytes& more) {
    out.insert(out.end(), more.begin(), more.end());
}

void put_address(Bytes& out, const IpAddress& address) {
    out.insert(out.end(), address.wire(), address.wire() + address.width() / 8);
}

std::uint32_t pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                            std::size_t length) {
    const auto width = static_cast<std::size_t>(source.width()) / 8;
    std::uint32_t sum = partial_sum(source.wire(), width, 0);
    sum = partial_sum(destination.wire(), width, sum);
    return sum + protocol + static_cast<std::uint32_t>(length);
}

bool has_checksum(std::uint8_t protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMPV6;
}

std::size_t checksum_offset(std::uint8_t protocol) {
    return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
}

Bytes transport(const Frame& frame) {
    Bytes out;
    if (frame.protocol == IPPROTO_TCP) {
        put16(out, frame.source_port);
        put16(out, frame.destination_port);
        put32(out, frame.sequence);
        put32(out, frame.acknowledgement);
        out.push_back(static_cast<std::uint8_t>((frame.mss == 0 ? 5 : 6) << 4));
        out.push_back(static_cast<std::uint8_t>(frame.flags));
        put16(out, 65535);
        put32(out, 0);
        if (frame.mss != 0) {
            put16(out, 0x0204);
            put16(out, frame.mss);
        }
    } else if (frame.protocol == IPPROTO_UDP) {
        put16(out, frame.source_port);
        put16(out, frame.destination_port);
        put16(out, static_cast<std::uint32_t>(8 + frame.payload.size()));
        put16(out, 0);
    }
    put(out, frame.payload);
    if (has_checksum(frame.protocol)) {
        const auto sum = pseudo_header(frame.source, frame.destination, frame.protocol, out.size());
        const auto checksum = folded(partial_sum(out.data(), out.size(), sum));
        set16(out, checksum_offset(frame.protocol), frame.protocol == IPPROTO_UDP && checksum == 0 ? 0xffff : checksum);
    }
    return out;
}

Bytes ethernet(const Frame& frame) {
    Bytes out(frame.to_mac.begin(), frame.to_mac.end());
    out.insert(out.end(), frame.from_mac.begin(), frame.from_mac.end());
    for (const auto tpid : frame.tags) {
        put16(out, tpid);
        put16(out, 5);
    }
    put16(out, frame.destination.is_v4() ? ETHERTYPE_IP : ETHERTYPE_IPV6);
    return out;
}

Bytes ipv4(const Frame& frame, const Bytes& l4) {
    Bytes out;
    const auto header = 20 + static_cast<std::size_t>(frame.ip_options);
    const Fragment fragment = frame.fragment.value_or(Fragment{});
    out.push_back(static_cast<std::uint8_t>(0x40 | header / 4));
    out.push_back(0);
    put16(out, static_cast<std::uint32_t>(header + l4.size()));
    put16(out, fragment.id);
    put16(out, static_cast<std::uint32_t>(fragment.offset / 8 | (fragment.more ? 0x2000 : 0)));
    out.push_back(64);
    out.push_back(frame.protocol);
    put16(out, 0);
    put_address(out, frame.source);
    put_address(out, frame.destination);
    out.insert(out.end(), static_cast<std::size_t>(frame.ip_options), 1);
    set16(out, 10, folded(partial_sum(out.data(), out.size(), 0)));
    put(out, l4);
    return out;
}

Bytes ipv6(const Frame& frame, const Bytes& l4) {
    struct Header {
        std::uint8_t type;
        Bytes rest;  // without the first byte, which names the next header
    };
    std::vector<Header> headers;
    for (const auto& extension : frame.extensions) {
        Bytes rest(static_cast<std::size_t>(7 + 8 * extension.units));
        rest[0] = static_cast<std::uint8_t>(extension.units);
        rest[2] = extension.segments_left;
        if (extension.type != IPPROTO_ROUTING) {
            rest[1] = 1;  // PadN over all of it; the kernel takes at most 7 bytes of it a header
            rest[2] = static_cast<std::uint8_t>(rest.size() - 3);
        }
        headers.push_back({extension.type, rest});
    }
    if (frame.fragment) {
        Bytes rest{0};
        put16(rest, static_cast<std::uint32_t>(frame.fragment->offset | (frame.fragment->more ? 1 : 0)));
        put32(rest, frame.fragment->id);
        headers.push_back({IPPROTO_FRAGMENT, rest});
    }
    Bytes body;
    for (std::size_t i = 0; i < headers.size(); ++i) {
        body.push_back(i + 1 < headers.size() ? headers[i + 1].type : frame.protocol);
        put(body, headers[i].rest);
    }
    put(body, l4);
    Bytes out;
    put32(out, 0x60000000);
    put16(out, static_cast<std::uint32_t>(body.size()));
    out.push_back(headers.empty() ? frame.protocol : headers[0].type);
    out.push_back(64);
    put_address(out, frame.source);
    put_address(out, frame.destination);
    put(out, body);
    return out;
}

Bytes with_l4(const Frame& frame, const Bytes& l4) {
    Bytes out = ethernet(frame);
    put(out, frame.destination.is_v4() ? ipv4(frame, l4) : ipv6(frame, l4));
    return out;
}

std::uint8_t icmp_protocol(const IpAddress& address) {
    return static_cast<std::uint8_t>(address.is_v4() ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
}

IpAddress address(const std::string& text) {
    return IpAddress::parse(text).value_or(IpAddress{});
}

}  // namespace

std::uint32_t partial_sum(const std::uint8_t* data, std::size_t size, std::uint32_t sum) {
    for (std::size_t i = 0; i < size; ++i) {
        sum += i % 2 == 0 ? std::uint32_t{data[i]} << 8 : data[i];
    }
    return sum;
}

std::uint16_t folded(std::uint32_t sum) {
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(~sum);
}

Frame tcp(const std::string& source, const std::string& destination, int flags) {
    Frame frame;
    frame.source = address(source);
    frame.destination = address(destination);
    frame.flags = flags;
    return frame;
}

Frame udp(const std::string& source, const std::string& destination, const std::string& payload) {
    Frame frame = tcp(source, destination, 0);
    frame.protocol = IPPROTO_UDP;
    frame.destination_port = 53;
    frame.payload.assign(payload.begin(), payload.end());
    return frame;
}

Frame turned(const Frame& frame) {
    Frame out = frame;
    std::swap(out.source, out.destination);
    std::swap(out.source_port, out.destination_port);
    std::swap(out.to_mac, out.from_mac);
    return out;
}

Bytes build(const Frame& frame) {
    return with_l4(frame, frame.fragment ? frame.payload : transport(frame));
}

std::vector<Bytes> build_fragments(const Frame& frame, std::uint32_t id, std::size_t size) {
    const Bytes l4 = transport(frame);
    std::vector<Bytes> out;
    for (std::size_t offset = 0; offset < l4.size(); offset += size) {
        const auto end = std::min(l4.size(), offset + size);
        Frame part = frame;
        part.fragment = Fragment{id, static_cast<std::uint16_t>(offset), end < l4.size()};
        part.payload.assign(l4.begin() + static_cast<std::ptrdiff_t>(offset),
                            l4.begin() + static_cast<std::ptrdiff_t>(end));
        out.push_back(build(part));
    }
    return out;
}

Bytes icmp_error(const Frame& about, std::uint8_t type, std::uint8_t code) {
    const Bytes quoted = build(about);
    Frame error = tcp(about.destination.is_v4() ? "192.0.2.1" : "2001:db8:1::1", "::", 0);
    error.destination = about.source;
    error.protocol = icmp_protocol(about.destination);
    error.payload = {type, code, 0, 0, 0, 0, 0x05, 0x00};
    error.payload.insert(error.payload.end(), quoted.begin() + kEthernet, quoted.end());
    if (error.protocol == IPPROTO_ICMP) {
        set16(error.payload, 2, folded(partial_sum(error.payload.data(), error.payload.size(), 0)));
    }
    return build(error);
}

Bytes icmp_echo_request(const std::string& source, const std::string& destination) {
    Frame frame = tcp(source, destination, 0);
    const bool v4 = frame.destination.is_v4();
    frame.protocol = icmp_protocol(frame.destination);
    frame.payload = {static_cast<std::uint8_t>(v4 ? 8 : 128), 0, 0, 0, 0, 1, 0, 1};
    if (v4) {
        set16(frame.payload, 2, folded(partial_sum(frame.payload.data(), frame.payload.size(), 0)));
    }
    return build(frame);
}

bool checksums_right(const Bytes& frame) {
    const std::uint8_t* ip = frame.data() + kEthernet;
    const bool v4 = ip[0] >> 4 == 4;
    const std::size_t header = v4 ? std::size_t{ip[0]} % 16 * 4 : kIpv6Header;
    const std::uint8_t protocol = v4 ? ip[9] : ip[6];
    if (v4 && folded(partial_sum(ip, header, 0)) != 0) {
        return false;
    }
    const std::uint8_t* l4 = ip + header;
    const std::size_t length = frame.size() - kEthernet - header;
    if (!has_checksum(protocol)) {
        return true;
    }
    const std::size_t at = checksum_offset(protocol);
    if (protocol == IPPROTO_UDP && v4 && l4[at] == 0 && l4[at + 1] == 0) {
        return true;
    }
    const std::size_t width = v4 ? 4 : 16;
    std::uint32_t sum = partial_sum(ip + (v4 ? 12 : 8), 2 * width, 0);
    sum += protocol + static_cast<std::uint32_t>(length);
    return folded(partial_sum(l4, length, sum)) == 0;
}

std::string hex_dump(const Bytes& bytes) {
    std::string out;
    for (const auto byte : bytes) {
        out += hex(byte, 2);
    }
    return out;
}

}  // namespace viscum
