// SPDX-License-Identifier: GPL-2.0-only
// The frames by which the programs are asked: whole and valid, with nothing behind the headers. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/ip.h"

namespace viscum {

/// What a program decides by.
struct Question {
    IpAddress source;  // both of one family
    IpAddress destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;   // IPPROTO_TCP or IPPROTO_UDP
    std::uint8_t tcp_flags = 0;  // TH_SYN, … (netinet/tcp.h)

    bool operator==(const Question&) const = default;
    /// The same from the other end.
    [[nodiscard]] Question turned(std::uint8_t flags) const {
        return {destination, source, destination_port, source_port, protocol, flags};
    }
};

/// From an unnamed neighbour to `to`, with right lengths and checksums.
std::vector<std::uint8_t> frame_of(const Question& question, const std::array<std::uint8_t, 6>& to);

}  // namespace viscum
