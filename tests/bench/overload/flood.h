// SPDX-License-Identifier: GPL-2.0-only
// Floods, each bounded in number and rate, from inside a namespace of the test's own.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "tests/support/bed.h"
#include "tests/support/endpoint.h"

namespace viscum {

struct FloodOptions {
    Endpoint to;  // IPv4
    std::uint64_t count = 0;
    std::uint64_t per_second = 0;  // at most; 0: as fast as it goes
    std::uint32_t seed = 1;        // of source ports
};

/// Neighbours of the hotspot that are not there: 10.77.9.1 to .32, whose answers a client gets and drops. So a SYN of
/// theirs is never reset, and nobody asks for their MAC address.
struct FloodSources {
    /// Behind client `number` of a bed with a bridge.
    static Status add(const Bed& bed, int number);
    static Status remove(const Bed& bed);
};

/// SYNs from FloodSources with random ports; how many were sent.
Result<std::uint64_t> flood_with_syns(const NetNs& ns, const FloodOptions& options, const std::stop_token& stopped);

/// Datagrams from 16 sockets of the client's; how many were sent. Nobody reads the answers.
Result<std::uint64_t> flood_with_datagrams(const NetNs& ns, const FloodOptions& options,
                                           const std::stop_token& stopped);

/// Connections that stay: `count` of them, made one after the other, each with `said` sent once it stands (empty:
/// nothing). Those that are not there within 5 s in all are left out.
class HeldConnections {
public:
    static HeldConnections open(const NetNs& ns, const Endpoint& to, std::size_t count, const std::string& said,
                                const std::stop_token& stopped);
    [[nodiscard]] std::size_t size() const { return fds_.size(); }
    /// A few bytes more on each, as slowloris does.
    void say(const std::string& more) const;

private:
    std::vector<UniqueFd> fds_;
};

}  // namespace viscum
