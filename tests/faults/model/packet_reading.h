// SPDX-License-Identifier: GPL-2.0-only
// How the model reads a frame: by the documents (docs/limits.md, docs/operations.md, the RFCs), in plain code that
// shares nothing with the BPF programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/ip.h"
#include "tcprog/abi.h"
#include "tests/bpf/frame.h"

namespace viscum {

/// Two ends of a flow, as one packet of it names them.
struct FlowEnds {
    IpAddress source;
    IpAddress destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;

    [[nodiscard]] FlowEnds turned() const;
};

struct PacketReading {
    /// Why it cannot be read any further: VS_NOT_IP to VS_EXTENSION, or VS_UNCLAIMED for protocols without ports.
    std::optional<vs_verdict> unread;

    bool v4 = false;
    FlowEnds ends;  // ports: of TCP and UDP, not of later fragments
    bool first_fragment = false;
    bool later_fragment = false;
    std::uint32_t fragment_id = 0;
    bool has_options = false;      // IPv4
    std::size_t transport_at = 0;  // from the start of the frame
    std::size_t end = 0;           // of the IP packet; what is behind it is padding

    // TCP
    std::uint8_t flags = 0;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;
    std::size_t tcp_header = 0;  // bytes, as the header says

    // ICMP errors
    bool icmp = false;
    bool icmp_error = false;
    /// The packet that the error quotes, where it is one of TCP or UDP whose ports can be read; as it was sent.
    std::optional<FlowEnds> quoted;

    [[nodiscard]] bool tcp() const { return !later_fragment && !icmp && ends.protocol == 6; }
    [[nodiscard]] bool udp() const { return !later_fragment && !icmp && ends.protocol == 17; }
    /// SYN alone of the flags that decide: a connection begins.
    [[nodiscard]] bool begins_connection() const { return (flags & (kSyn | kAck | kRst | kFin)) == kSyn; }
};

/// Where a frame without tags says that it goes, if it is as long as the header of its IP version at least; nothing
/// else of it is looked at.
struct Destination {
    IpAddress address;
    bool v4 = false;  // by the frame's type: a mapped address in IPv6 is none of IPv4's
};
std::optional<Destination> read_destination(const Bytes& frame);

/// `super` says that the frame stands for several segments (GRO): its length field may be 0.
PacketReading read_packet(const Bytes& frame, bool super);

}  // namespace viscum
