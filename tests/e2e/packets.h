// SPDX-License-Identifier: GPL-2.0-only
// What no ordinary client sends: ICMP echo requests, and frames as they are given.
#pragma once

#include <chrono>
#include <string>

#include "tests/support/endpoint.h"

namespace viscum {

/// Sends one echo request from `ns` and waits for its answer.
bool ping(const NetNs& ns, const IpAddress& to, std::chrono::milliseconds limit);

/// A packet socket on a device of `ns`.
class FrameSocket {
public:
    static Result<FrameSocket> open(const NetNs& ns, const std::string& device);
    /// From the Ethernet header on.
    [[nodiscard]] Status send(const std::string& frame) const;
    /// Whether a frame that contains `bytes` comes in.
    [[nodiscard]] bool receives(const std::string& bytes, std::chrono::milliseconds limit) const;
    [[nodiscard]] const std::string& mac() const { return mac_; }  // the device's, 6 bytes

private:
    FrameSocket(UniqueFd fd, std::string mac) : fd_(std::move(fd)), mac_(std::move(mac)) {}
    UniqueFd fd_;
    std::string mac_;
};

/// A number of /proc/net/FILE of `ns`: "Icmp: InEchos" of snmp and netstat, whose lines are pairs of names and
/// values, "Icmp6InEchos" of snmp6. 0 where there is none.
std::uint64_t kernel_counter(const NetNs& ns, const std::string& file, const std::string& name);

}  // namespace viscum
