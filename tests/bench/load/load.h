// SPDX-License-Identifier: GPL-2.0-only
// What loads a way through the network: wrk, iperf3 and sockperf, and what they say of it.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "netns/net_ns.h"
#include "tests/bench/measure/measurements.h"
#include "tests/support/endpoint.h"
#include "tests/support/servers.h"

namespace viscum {

constexpr std::uint16_t kWebPort = 80;
constexpr std::uint16_t kSpeedPort = 5201;
constexpr std::uint16_t kEchoPort = 11111;

enum class Load { connections, requests, one_stream, streams, datagrams, tcp_round_trip, udp_round_trip };

/// The figure's name: "connections/s". Of round trips: without " p50" and " p99".
const char* name_of(Load load);
const char* unit_of(Load load);
constexpr bool is_udp(Load load) {
    return load == Load::datagrams || load == Load::udp_round_trip;
}
constexpr bool is_round_trip(Load load) {
    return load == Load::tcp_round_trip || load == Load::udp_round_trip;
}

struct Loaded {
    double value = 0;           // in unit_of(); of round trips: the median
    double p99 = 0;             // of round trips only
    std::uint64_t flows = 0;    // that began, at least
    std::uint64_t packets = 0;  // that the client sent, at least; segments as long as the device takes them
};

/// Loads `to` from `ns` for a second (quick: for less where that can be), at the port of its kind. An error where
/// anything of it failed.
Result<Loaded> put_load(Load load, const NetNs& ns, const IpAddress& to, Scale scale);

/// sockperf on kEchoPort of `address`. errno_code ENOENT where it is not installed.
Result<Server> echo_server(const std::string& address, bool udp);

/// ENOENT, where it is not installed. Services get no PATH, and neither do these.
Result<std::string> installed_program(const std::string& name);

}  // namespace viscum
