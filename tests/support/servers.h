// SPDX-License-Identifier: GPL-2.0-only
// Real servers for both sides: nginx, dnsmasq and iperf3, each configured in /srv, which services see and may not
// write. The same configuration serves as the cloud's twin and, started by viscumd, as the local copy.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "netns/net_ns.h"
#include "tests/support/endpoint.h"
#include "tests/support/program.h"

namespace viscum {

/// A command line in the foreground; empty where the program is not installed.
struct Server {
    Argv command;
    std::string log_file;
};

/// nginx, one process or with a master and a worker, that answers every path with `answer` and a line end, except /big:
/// 1 MiB of zeros, and /healthz: "ok". `listen` are "ADDRESS:PORT" of nginx's listen directive: "80",
/// "203.0.113.10:80", "[::]:80".
Result<Server> nginx(const std::string& name, const std::string& answer, const std::vector<std::string>& listen,
                     bool master = false);

/// dnsmasq without upstream that answers TXT queries for who.example with `answer`, on `address` (empty: on all).
Result<Server> dnsmasq(const std::string& answer, const std::string& address);

/// iperf3 on port 5201 of `address` (empty: all); one test at a time.
Result<Server> iperf3_server(const std::string& address);

/// Starts it in `ns` and waits until it listens on TCP `port` there.
Result<Program> start_server(const Server& server, const NetNs& ns, std::uint16_t port);

struct Speed {
    double bits_per_second = 0;  // what arrived
    double lost_percent = 0;     // UDP only
};
/// iperf3 from `ns` to `to` for `seconds`; UDP where `udp`, unlimited in rate.
Result<Speed> measure_speed(const NetNs& ns, const Endpoint& to, bool udp, int seconds);

}  // namespace viscum
