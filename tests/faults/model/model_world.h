// SPDX-License-Identifier: GPL-2.0-only
// A small world, as values: what a model is told, and of which a real one is made (live_world.h). Links are numbered 0
// and 1, as the versions of the lab's service are.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "tcprog/abi.h"
#include "tcprog/link_table.h"
#include "tcprog/rule_table.h"
#include "tests/bpf/frame.h"

namespace viscum {

/// A socket in a service's namespace.
struct WorldSocket {
    enum class Kind {
        listener,
        handshake,    // of a SYN that was answered
        established,  // with a client, or begun by the service
        time_wait,
        datagram,   // bound
        connected,  // a datagram socket with a peer
    };
    Kind kind = Kind::listener;
    int link = 0;
    bool any_v4 = false;  // a wildcard of this family; both: one socket of both families
    bool any_v6 = false;
    IpAddress address;  // where it is no wildcard
    std::uint16_t port = 0;
    IpAddress remote;
    std::uint16_t remote_port = 0;
    bool other_device = false;  // bound to `lo`

    [[nodiscard]] bool tcp() const { return kind != Kind::datagram && kind != Kind::connected; }
    [[nodiscard]] bool has_peer() const { return kind != Kind::listener && kind != Kind::datagram; }
};

/// A SYN that a listener answered with a cookie (RFC 4987).
struct WorldCookie {
    int link = 0;
    IpAddress client;
    IpAddress service;
    std::uint16_t client_port = 0;
    std::uint16_t service_port = 0;
    std::uint32_t sequence = 0;         // of the ACK that finishes the handshake
    std::uint32_t acknowledgement = 0;  // likewise
};

struct World {
    std::uint32_t seed = 0;
    bool internet = false;  // the lab has its uplink
    std::uint32_t lan_mtu = 1500;
    std::vector<Rule> rules;  // as they are in the beginning
    bool lease = true;
    std::optional<MacAddress> bridge;  // the LAN device is its port
    std::vector<WorldSocket> sockets;
    std::array<bool, 2> cookies{};  // the link's namespace answers every SYN with one
    std::array<std::optional<LinkEgress>, 2> egress;
};

enum class Hook { lan, service, back };

/// One thing that happens.
struct Step {
    enum class Kind { packet, rules, lease };
    Kind kind = Kind::packet;
    // A packet
    Hook hook = Hook::lan;
    int link = 0;  // of service and back
    Bytes frame;
    std::uint16_t segments = 0;  // more than 1: what GRO has put together
    bool no_token = false;       // the link's bucket of new flows is empty
    // A change
    std::vector<Rule> rules;
    bool lease = true;
};

/// For a report: one line each.
std::string describe(const Rule& rule);
std::string describe(const WorldSocket& socket);
std::string describe(int link, const LinkEgress& egress);
std::string describe(const Step& step);

}  // namespace viscum
