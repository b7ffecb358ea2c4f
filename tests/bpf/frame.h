// SPDX-License-Identifier: GPL-2.0-only
// Frames for the programs: what a frame says, as values, and the bytes of it with right lengths and checksums.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace viscum {

using Bytes = std::vector<std::uint8_t>;
using MacAddress = std::array<std::uint8_t, 6>;

constexpr MacAddress kRouterMac{0x02, 0x00, 0x5e, 0x00, 0x00, 0x01};
constexpr MacAddress kClientMac{0x02, 0x00, 0x5e, 0x00, 0x00, 0x02};
constexpr MacAddress kServiceMac{0x02, 0x56, 0x53, 0x00, 0x00, 0x01};
constexpr MacAddress kBroadcastMac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// TCP flags: int, as whatever is or-ed together.
constexpr int kFin = 0x01;
constexpr int kSyn = 0x02;
constexpr int kRst = 0x04;
constexpr int kPsh = 0x08;
constexpr int kAck = 0x10;
constexpr int kEce = 0x40;
constexpr int kCwr = 0x80;

struct Fragment {
    std::uint32_t id = 1;
    std::uint16_t offset = 0;  // bytes, a multiple of 8
    bool more = false;
};

struct Extension {
    std::uint8_t type = IPPROTO_DSTOPTS;  // HOPOPTS, DSTOPTS, ROUTING
    int units = 0;                        // of 8 bytes, beyond the first
    std::uint8_t segments_left = 0;       // ROUTING
};

struct Frame {
    MacAddress to_mac = kRouterMac;
    MacAddress from_mac = kClientMac;
    std::vector<std::uint16_t> tags;  // the TPIDs of VLAN tags, outermost first
    IpAddress source;
    IpAddress destination;
    std::uint8_t protocol = IPPROTO_TCP;
    std::uint16_t source_port = 40000;
    std::uint16_t destination_port = 80;
    int flags = kSyn;  // of TCP
    std::uint32_t sequence = 1000;
    std::uint32_t acknowledgement = 0;
    std::uint16_t mss = 0;              // TCP: as an option; 0: none
    int ip_options = 0;                 // IPv4: bytes of NOP options, a multiple of 4
    std::vector<Extension> extensions;  // IPv6
    std::optional<Fragment> fragment;  // the fragment's header; the bytes are `payload`, from the L4 header on if first
    Bytes payload;                     // other protocols than TCP and UDP: all of L4
};

/// A frame of an address pair, both as text.
Frame tcp(const std::string& source, const std::string& destination, int flags);
Frame udp(const std::string& source, const std::string& destination, const std::string& payload = "ping");
/// Source and destination changed places, MACs included.
Frame turned(const Frame& frame);

Bytes build(const Frame& frame);
/// The same datagram in fragments of at most `size` bytes of L4 each, a multiple of 8.
std::vector<Bytes> build_fragments(const Frame& frame, std::uint32_t id, std::size_t size);

/// An ICMP error about `about` (as it was sent), from the router 192.0.2.1 or 2001:db8:1::1 to the sender of `about`.
Bytes icmp_error(const Frame& about, std::uint8_t type, std::uint8_t code);
Bytes icmp_echo_request(const std::string& source, const std::string& destination);

/// Whether every checksum that the frame carries is right; a UDP checksum of 0 over IPv4 is. Only for whole datagrams
/// without VLAN tags and extension headers.
bool checksums_right(const Bytes& frame);

/// The sum of RFC 1071 over bytes.
std::uint32_t partial_sum(const std::uint8_t* data, std::size_t size, std::uint32_t sum);
std::uint16_t folded(std::uint32_t sum);

std::string hex_dump(const Bytes& bytes);

}  // namespace viscum
