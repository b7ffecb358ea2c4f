// SPDX-License-Identifier: GPL-2.0-only
// What a frame is, read by plain code that shares nothing with the programs: the model that they are measured against.
// It is as strict as the kernel's own input: a packet counts as long as its IP header says, and no longer than the
// frame.
#pragma once

#include <cstdint>
#include <vector>

#include "tcprog/rule_index.h"
#include "tests/bpf/frame.h"

namespace viscum {

struct Reading {
    enum class Kind {
        other,           // nothing that any claim could be about
        transport,       // TCP or UDP with its ports; the first fragment included
        later_fragment,  // of whatever the first fragment was
        icmp_error,      // the addresses and ports are those of the packet that it quotes, turned around
    };
    Kind kind = Kind::other;
    MacAddress to_mac{};
    IpAddress source;
    IpAddress destination;
    std::uint8_t protocol = 0;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    // TCP
    int flags = 0;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;
    std::size_t payload = 0;  // bytes
};

Reading read_frame(const Bytes& frame);

/// Whether a rule could be about the frame, if it came in through the router's LAN device.
bool may_be_claimed(const Reading& reading, const std::vector<RuleKey>& claims);

}  // namespace viscum
