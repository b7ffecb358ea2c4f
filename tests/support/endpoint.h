// SPDX-License-Identifier: GPL-2.0-only
// An address with a port, as socket calls take it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "netns/net_ns.h"

namespace viscum {

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    auto operator<=>(const Endpoint&) const = default;
    /// For texts that are written in a test: an address that cannot be read becomes ::.
    static Endpoint of(const std::string& address, std::uint16_t port);
    /// "203.0.113.10:80", "[2001:db8::1]:80".
    [[nodiscard]] std::string text() const;
};

/// A sockaddr of either family and its length.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress to_sockaddr(const Endpoint& endpoint);
Endpoint from_sockaddr(const sockaddr_storage& storage);

/// A non-blocking socket of `type` (SOCK_STREAM, SOCK_DGRAM) for `to`'s family, born in `ns` and bound to `from`, whose
/// unspecified parts the kernel chooses.
Result<UniqueFd> open_socket(const NetNs& ns, int type, const Endpoint& to, const Endpoint& from);

/// Waits for `events` (POLLIN, POLLOUT); false when `deadline` (CLOCK_BOOTTIME) came first.
bool wait_for_socket(int fd, short events, std::chrono::nanoseconds deadline);

}  // namespace viscum
