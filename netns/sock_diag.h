// SPDX-License-Identifier: GPL-2.0-only
// The socket table of a namespace, by NETLINK_SOCK_DIAG (libmnl).
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netns/net_ns.h"

namespace viscum {

/// Reads the sockets of the namespace that it was opened in.
class SockDiag {
public:
    /// In the calling thread's namespace.
    static Result<SockDiag> open();

    struct Listener {
        IpAddress address;  // :: or 0.0.0.0 (as ::ffff:0.0.0.0) for any
        std::uint16_t port = 0;
        bool v6_only = false;  // bound to :: and for IPv6 alone (IPV6_V6ONLY); told of listeners only
        bool bound = false;    // to a device (SO_BINDTODEVICE)
        bool operator==(const Listener&) const = default;
    };
    /// TCP sockets in LISTEN.
    Result<std::vector<Listener>> tcp_listeners() const;
    /// Bound UDP sockets without peer.
    Result<std::vector<Listener>> udp_listeners() const;
    struct Ports {  // first and last; none by default
        std::uint16_t first = 1;
        std::uint16_t last = 0;
    };
    /// TCP connections of clients, which a drain waits for: every state but LISTEN, SYN_SENT, TIME_WAIT and CLOSE, not
    /// between the namespace's own addresses (a probe's), not those that the service has closed and whose bytes have
    /// all arrived, and not those from `own` ports, which the service began itself.
    Result<std::uint32_t> open_connections(const Ports& own) const;
    Result<std::uint32_t> open_connections() const { return open_connections(Ports{}); }
    struct Connection {
        Listener here, there;
        bool operator==(const Connection&) const = default;
    };
    /// The same connections and those whose handshake is under way, at most `limit` of them.
    Result<std::vector<Connection>> list_connections(std::size_t limit) const;
    /// Whether this one is among them.
    Result<bool> has_connection(const Connection& wanted) const;

private:
    explicit SockDiag(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace viscum
