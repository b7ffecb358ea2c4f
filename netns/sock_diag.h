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
        bool operator==(const Listener&) const = default;
    };
    /// TCP sockets in LISTEN.
    Result<std::vector<Listener>> tcp_listeners() const;
    /// Bound UDP sockets without peer.
    Result<std::vector<Listener>> udp_listeners() const;
    /// TCP connections that a drain waits for: every state but LISTEN, TIME_WAIT and CLOSE, not between the namespace's
    /// own addresses (a probe's), and not those that the service has closed and whose bytes have all arrived.
    Result<std::uint32_t> open_connections() const;

private:
    explicit SockDiag(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace viscum
