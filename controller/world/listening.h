// SPDX-License-Identifier: GPL-2.0-only
// What a service listens on, beside what it claims: the commonest reason why a program that runs gets no clients.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "controller/spec/service_spec.h"
#include "netns/net_ns.h"

namespace viscum {

/// A socket that takes what is new: a TCP listener, or a bound UDP socket without peer.
struct Listening {
    IpAddress address;  // :: stands for both families here but for `v6_only`, 0.0.0.0 for IPv4
    std::uint16_t port = 0;
    Protocol protocol = Protocol::tcp;
    bool v6_only = false;  // on ::, and no IPv4 packet gets there
    bool bound = false;    // to a device: the socket grade's look-up from the LAN does not find it
    auto operator<=>(const Listening&) const = default;
    /// "127.0.0.1:80/tcp", "[::]:53/udp", "[::]:80/tcp (IPv6 alone)",
    /// "0.0.0.0:80/tcp (bound to a device)".
    [[nodiscard]] std::string text() const;
};

/// Those of a namespace, sorted, each once. UDP only where `udp`: there may be many sockets.
Result<std::vector<Listening>> listening_in(const NetNs& ns, bool udp);

/// The claims of which no address and port is listened on. Pure.
std::vector<Claim> claims_without_listener(const std::vector<Claim>& claims, const std::vector<Listening>& listening);

/// "no listener on 203.0.113.10:80/tcp: it listens on 127.0.0.1:80/tcp only"; both lists are cut where they are long.
/// Empty where every claim has a listener. Pure.
std::string describe_missing(const std::vector<Claim>& missing, const std::vector<Listening>& listening);

}  // namespace viscum
