// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/packet_reading.h"

#include <algorithm>

namespace viscum {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr int kMostExtensions = 6;

enum Protocol : std::uint8_t {
    kHopByHop = 0,
    kIcmp = 1,
    kTcp = 6,
    kUdp = 17,
    kRouting = 43,
    kFragmentHeader = 44,
    kEsp = 50,
    kAuthentication = 51,
    kIcmpV6 = 58,
    kNothing = 59,
    kDestinationOptions = 60,
};

/// Numbers of a frame by their place.
class Field {
public:
    explicit Field(const Bytes& bytes) : bytes_(bytes) {}
    [[nodiscard]] std::uint8_t byte(std::size_t at) const { return bytes_[at]; }
    [[nodiscard]] std::uint16_t two(std::size_t at) const {
        return static_cast<std::uint16_t>(bytes_[at] << 8 | bytes_[at + 1]);
    }
    [[nodiscard]] std::uint32_t four(std::size_t at) const {
        return static_cast<std::uint32_t>(two(at)) << 16 | two(at + 2);
    }
    [[nodiscard]] IpAddress v4(std::size_t at) const {
        IpAddress out;
        out.bytes[10] = out.bytes[11] = 0xff;
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at), 4, out.bytes.begin() + 12);
        return out;
    }
    [[nodiscard]] IpAddress v6(std::size_t at) const {
        IpAddress out;
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at), 16, out.bytes.begin());
        return out;
    }

private:
    const Bytes& bytes_;
};

PacketReading stopped(PacketReading reading, vs_verdict verdict) {
    reading.unread = verdict;
    return reading;
}

bool is_option_header(std::uint8_t next) {
    return next == kHopByHop || next == kRouting || next == kFragmentHeader || next == kDestinationOptions;
}

bool is_icmp_error(bool v4, std::uint8_t type) {
    // RFC 792: unreachable, time exceeded, parameter problem. RFC 4443: these and packet too big.
    return v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

/// RFC 792, RFC 4443: as much of the packet as there is room for, from its IP header on.
std::optional<FlowEnds> read_quoted(const Field& field, bool v4, std::size_t at, std::size_t end) {
    FlowEnds out;
    std::size_t ports = 0;
    if (v4) {
        if (at + 20 > end || field.byte(at) >> 4 != 4 || field.byte(at) % 16 < 5 || field.two(at + 6) % 0x2000 != 0) {
            return std::nullopt;
        }
        out.source = field.v4(at + 12);
        out.destination = field.v4(at + 16);
        out.protocol = field.byte(at + 9);
        ports = at + field.byte(at) % 16 * std::size_t{4};
    } else {
        if (at + 40 > end || field.byte(at) >> 4 != 6) {
            return std::nullopt;
        }
        out.source = field.v6(at + 8);
        out.destination = field.v6(at + 24);
        out.protocol = field.byte(at + 6);
        ports = at + 40;
    }
    if ((out.protocol != kTcp && out.protocol != kUdp) || ports + 4 > end) {
        return std::nullopt;
    }
    out.source_port = field.two(ports);
    out.destination_port = field.two(ports + 2);
    return out;
}

PacketReading read_transport(const Field& field, PacketReading out) {
    const std::size_t at = out.transport_at;
    const std::size_t left = out.end > at ? out.end - at : 0;
    const std::uint8_t protocol = out.ends.protocol;
    if (protocol == kTcp) {
        if (left < 20) {
            return stopped(out, VS_TRUNCATED);
        }
        out.tcp_header = field.byte(at + 12) / 16 * std::size_t{4};
        if (out.tcp_header < 20) {
            return stopped(out, VS_MALFORMED);
        }
        out.sequence = field.four(at + 4);
        out.acknowledgement = field.four(at + 8);
        out.flags = field.byte(at + 13);
    } else if (protocol == kUdp) {
        if (left < 8) {
            return stopped(out, VS_TRUNCATED);
        }
    } else if (protocol == (out.v4 ? kIcmp : kIcmpV6)) {
        if (left < 8) {
            return stopped(out, VS_TRUNCATED);
        }
        out.icmp = true;
        out.icmp_error = is_icmp_error(out.v4, field.byte(at));
        if (out.icmp_error) {
            out.quoted = read_quoted(field, out.v4, at + 8, out.end);
        }
        return out;
    } else {
        return stopped(out, VS_UNCLAIMED);
    }
    out.ends.source_port = field.two(at);
    out.ends.destination_port = field.two(at + 2);
    return out;
}

PacketReading read_v4(const Field& field, std::size_t size, bool super) {
    PacketReading out;
    out.v4 = true;
    const std::size_t at = kEthernet;
    if (size < at + 20) {
        return stopped(out, VS_TRUNCATED);
    }
    out.later_fragment = field.two(at + 6) % 0x2000 != 0;
    out.first_fragment = !out.later_fragment && (field.two(at + 6) & 0x2000) != 0;
    const std::size_t header = field.byte(at) % 16 * std::size_t{4};
    std::size_t total = field.two(at + 2);
    const bool unsaid = total == 0 && super;
    if (unsaid) {
        total = size - at;
    }
    if (field.byte(at) >> 4 != 4 || header < 20 || (total < header && !unsaid)) {
        return stopped(out, VS_MALFORMED);
    }
    if (at + std::max(total, header) > size) {
        return stopped(out, VS_TRUNCATED);
    }
    out.ends.source = field.v4(at + 12);
    out.ends.destination = field.v4(at + 16);
    out.ends.protocol = field.byte(at + 9);
    out.has_options = header > 20;
    out.fragment_id = field.two(at + 4);
    out.transport_at = at + header;
    out.end = at + total;
    return out.later_fragment ? out : read_transport(field, out);
}

PacketReading read_v6(const Field& field, std::size_t size, bool super) {
    PacketReading out;
    if (size < kEthernet + 40) {
        return stopped(out, VS_TRUNCATED);
    }
    if (field.byte(kEthernet) >> 4 != 6) {
        return stopped(out, VS_MALFORMED);
    }
    out.ends.source = field.v6(kEthernet + 8);
    out.ends.destination = field.v6(kEthernet + 24);
    if (out.ends.source.is_v4() || out.ends.destination.is_v4()) {
        return stopped(out, VS_MALFORMED);
    }
    std::size_t at = kEthernet + 40;
    const std::size_t length = field.two(kEthernet + 4);
    out.end = length == 0 && super ? size : at + length;
    if (out.end > size) {
        return stopped(out, VS_TRUNCATED);
    }
    std::uint8_t next = field.byte(kEthernet + 6);
    for (int headers = 0; is_option_header(next); ++headers) {
        if (headers == kMostExtensions) {
            return stopped(out, VS_EXTENSION);
        }
        if (at + 8 > out.end) {
            return stopped(out, VS_TRUNCATED);
        }
        std::size_t header = 8;
        if (next == kFragmentHeader) {
            out.fragment_id = field.four(at + 4);
            out.later_fragment = field.two(at + 2) >= 8;
            out.first_fragment = out.first_fragment || (field.two(at + 2) & 1) != 0;
            if (out.later_fragment) {
                return out;
            }
        } else {
            if (next == kRouting && field.byte(at + 3) != 0) {
                return stopped(out, VS_EXTENSION);  // segments are left: the destination is still to come
            }
            header += field.byte(at + 1) * std::size_t{8};
        }
        if (at + header > out.end) {
            return stopped(out, VS_TRUNCATED);
        }
        next = field.byte(at);
        at += header;
    }
    out.transport_at = at;
    out.ends.protocol = next;
    if (next == kTcp || next == kUdp || next == kIcmpV6) {
        return read_transport(field, out);
    }
    // Right behind the IPv6 header it is another protocol; behind others, or where nothing can be seen, a header that
    // is not known.
    const bool hides = next == kEsp || next == kAuthentication || next == kNothing || at > kEthernet + 40;
    return stopped(out, hides ? VS_EXTENSION : VS_UNCLAIMED);
}

}  // namespace

FlowEnds FlowEnds::turned() const {
    FlowEnds out = *this;
    std::swap(out.source, out.destination);
    std::swap(out.source_port, out.destination_port);
    return out;
}

std::optional<Destination> read_destination(const Bytes& frame) {
    const Field field(frame);
    if (frame.size() >= kEthernet + 20 && field.two(12) == 0x0800) {
        return Destination{field.v4(kEthernet + 16), true};
    }
    if (frame.size() >= kEthernet + 40 && field.two(12) == 0x86dd) {
        return Destination{field.v6(kEthernet + 24), false};
    }
    return std::nullopt;
}

PacketReading read_packet(const Bytes& frame, bool super) {
    PacketReading out;
    if (frame.size() < kEthernet) {
        return stopped(out, VS_TRUNCATED);
    }
    const Field field(frame);
    switch (field.two(12)) {
        case 0x0800: return read_v4(field, frame.size(), super);
        case 0x86dd: return read_v6(field, frame.size(), super);
        case 0x8100:
        case 0x88a8: return stopped(out, VS_VLAN);
        default: return stopped(out, VS_NOT_IP);
    }
}

}  // namespace viscum
