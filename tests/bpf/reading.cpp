// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bpf/reading.h"

#include <algorithm>
#include <optional>
#include <span>

namespace viscum {
namespace {

using View = std::span<const std::uint8_t>;

std::uint32_t number(View view, std::size_t at, std::size_t size) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < size; ++i) {
        out = out << 8 | view[at + i];
    }
    return out;
}

IpAddress v4_at(View view, std::size_t at) {
    IpAddress out;
    out.bytes[10] = out.bytes[11] = 0xff;
    std::copy_n(view.begin() + static_cast<std::ptrdiff_t>(at), 4, out.bytes.begin() + 12);
    return out;
}

IpAddress v6_at(View view, std::size_t at) {
    IpAddress out;
    std::copy_n(view.begin() + static_cast<std::ptrdiff_t>(at), 16, out.bytes.begin());
    return out;
}

/// A packet without its IP headers.
struct Inner {
    Reading reading;
    View l4;
    bool later = false;
};

std::optional<Inner> read_v4(View packet, bool quoted) {
    if (packet.size() < 20 || packet[0] >> 4 != 4) {
        return std::nullopt;
    }
    const std::size_t header = packet[0] % 16 * std::size_t{4};
    const std::size_t total = number(packet, 2, 2);
    // What is quoted is mostly shorter than it was.
    if (header < 20 || header > packet.size() || (!quoted && (total < header || total > packet.size()))) {
        return std::nullopt;
    }
    Inner out;
    out.reading.source = v4_at(packet, 12);
    out.reading.destination = v4_at(packet, 16);
    out.reading.protocol = packet[9];
    out.later = number(packet, 6, 2) % 0x2000 != 0;
    out.l4 = quoted ? packet.subspan(header) : packet.subspan(header, total - header);
    return out;
}

/// Walks the extension headers that the kernel's own input takes; the limit is the programs'.
std::optional<Inner> read_v6(View packet, bool quoted) {
    if (packet.size() < 40 || packet[0] >> 4 != 6) {
        return std::nullopt;
    }
    const std::size_t total = 40 + number(packet, 4, 2);
    if (!quoted && total > packet.size()) {
        return std::nullopt;
    }
    Inner out;
    out.reading.source = v6_at(packet, 8);
    out.reading.destination = v6_at(packet, 24);
    if (out.reading.source.is_v4() || out.reading.destination.is_v4()) {
        return std::nullopt;
    }
    std::uint8_t next = packet[6];
    View rest = quoted ? packet.subspan(40) : packet.subspan(40, total - 40);
    for (int headers = 0;
         next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT;
         ++headers) {
        if (quoted || headers == 6 || rest.size() < 8) {
            return std::nullopt;
        }
        const std::size_t size = next == IPPROTO_FRAGMENT ? 8 : 8 + std::size_t{rest[1]} * 8;
        if (next == IPPROTO_FRAGMENT && number(rest, 2, 2) >= 8) {
            out.later = true;
            return out;
        }
        if ((next == IPPROTO_ROUTING && rest[3] != 0) || size > rest.size()) {
            return std::nullopt;
        }
        next = rest[0];
        rest = rest.subspan(size);
    }
    out.reading.protocol = next;
    out.l4 = rest;
    return out;
}

std::optional<Inner> read_ip(View packet, bool v4, bool quoted) {
    return v4 ? read_v4(packet, quoted) : read_v6(packet, quoted);
}

bool read_ports(Reading& reading, View l4, std::size_t least) {
    if ((reading.protocol != IPPROTO_TCP && reading.protocol != IPPROTO_UDP) || l4.size() < least) {
        return false;
    }
    reading.source_port = static_cast<std::uint16_t>(number(l4, 0, 2));
    reading.destination_port = static_cast<std::uint16_t>(number(l4, 2, 2));
    return true;
}

Reading read_icmp(const Inner& inner, bool v4) {
    const std::uint8_t type = inner.l4.empty() ? 0 : inner.l4[0];
    const bool is_error = v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
    if (!is_error || inner.l4.size() < 8) {
        return {};
    }
    auto quoted = read_ip(inner.l4.subspan(8), v4, true);
    if (!quoted || quoted->later || quoted->reading.source != inner.reading.destination ||
        !read_ports(quoted->reading, quoted->l4, 4)) {
        return {};
    }
    Reading out = quoted->reading;
    std::swap(out.source, out.destination);
    std::swap(out.source_port, out.destination_port);
    out.kind = Reading::Kind::icmp_error;
    return out;
}

Reading read_transport(const Inner& inner) {
    Reading out = inner.reading;
    const View l4 = inner.l4;
    const bool tcp = out.protocol == IPPROTO_TCP;
    if (!read_ports(out, l4, tcp ? 20 : 8) || (tcp && l4[12] >> 4 < 5)) {
        return {};
    }
    out.kind = Reading::Kind::transport;
    if (tcp) {
        out.sequence = number(l4, 4, 4);
        out.acknowledgement = number(l4, 8, 4);
        out.flags = l4[13];
        out.payload = l4.size() - std::min<std::size_t>(l4.size(), l4[12] / 16 * std::size_t{4});
    }
    return out;
}

}  // namespace

Reading read_frame(const Bytes& frame) {
    const View all(frame);
    if (all.size() < 14) {
        return {};
    }
    const std::uint32_t type = number(all, 12, 2);
    if (type != 0x0800 && type != 0x86dd) {
        return {};
    }
    const bool v4 = type == 0x0800;
    const auto inner = read_ip(all.subspan(14), v4, false);
    if (!inner) {
        return {};
    }
    Reading out;
    if (inner->later) {
        out = inner->reading;
        out.kind = Reading::Kind::later_fragment;
    } else if (inner->reading.protocol == (v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6})) {
        out = read_icmp(*inner, v4);
    } else {
        out = read_transport(*inner);
    }
    std::copy_n(frame.begin(), out.to_mac.size(), out.to_mac.begin());
    return out;
}

bool may_be_claimed(const Reading& reading, const std::vector<RuleKey>& claims) {
    if (reading.kind == Reading::Kind::other || reading.to_mac != kRouterMac) {
        return false;
    }
    return std::any_of(claims.begin(), claims.end(), [&reading](const RuleKey& claim) {
        if (!claim.prefix.contains(reading.destination)) {
            return false;
        }
        return reading.kind == Reading::Kind::later_fragment ||
               (claim.protocol == reading.protocol && claim.first_port <= reading.destination_port &&
                reading.destination_port <= claim.last_port);
    });
}

}  // namespace viscum
