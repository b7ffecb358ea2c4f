// SPDX-License-Identifier: GPL-2.0-only
// A service and the router's configuration as values: what a service file and viscum.yaml say, with every default
// filled in. Nothing here knows of YAML; a claim may come from elsewhere one day.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ip.h"

namespace viscum {

using Millis = std::chrono::milliseconds;

enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };  // IANA protocol numbers

struct PortRange {
    std::uint16_t first = 1;
    std::uint16_t last = 65535;  // inclusive; 1-65535 is `any`

    bool operator==(const PortRange&) const = default;
    [[nodiscard]] bool is_single() const { return first == last; }
    [[nodiscard]] bool overlaps(const PortRange& other) const { return first <= other.last && other.first <= last; }
    /// "443", "8000-8100" or "any".
    [[nodiscard]] std::string text() const;
};

/// What a service takes over.
struct Claim {
    IpPrefix prefix;
    PortRange ports;
    Protocol protocol = Protocol::tcp;

    bool operator==(const Claim&) const = default;
    /// "203.0.113.10:443/tcp", "[2001:db8::10]:443/tcp", "198.51.100.0/28:8000-8100/udp".
    [[nodiscard]] std::string text() const;
};

struct RunSpec {
    std::vector<std::string> command;  // command[0] is an absolute path
    std::string user;                  // a name of the host's passwd, or a number; empty: root
    std::map<std::string, std::string> env;
    std::string stop_signal = "TERM";  // TERM, QUIT, INT, HUP, USR1 or USR2
    Millis stop_timeout{10'000};       // then SIGKILL
    bool operator==(const RunSpec&) const = default;
};

/// A TCP connection to `port` succeeds.
struct TcpProbe {
    std::uint16_t port = 0;
    bool operator==(const TcpProbe&) const = default;
};
/// GET `path` on `port` is answered with status `expect`.
struct HttpProbe {
    std::uint16_t port = 0;
    std::string path = "/";
    std::string host;  // the Host header; empty: the probed address
    int expect = 200;
    bool operator==(const HttpProbe&) const = default;
};
/// `send` to `port` is answered by a datagram that contains `expect` (empty: any datagram). Both are raw bytes.
struct UdpProbe {
    std::uint16_t port = 0;
    std::string send;
    std::string expect;
    bool operator==(const UdpProbe&) const = default;
};
/// The command, run in the service's network namespace, exits with 0.
struct ExecProbe {
    std::vector<std::string> command;
    bool operator==(const ExecProbe&) const = default;
};
/// The process runs: all that can be said of a service without a port to ask.
struct ProcessProbe {
    bool operator==(const ProcessProbe&) const = default;
};

struct HealthSpec {
    std::variant<ProcessProbe, TcpProbe, HttpProbe, UdpProbe, ExecProbe> probe;
    Millis interval{2'000};
    Millis timeout{1'000};
    int fall = 3;
    int rise = 2;
    Millis start_timeout{30'000};
    bool operator==(const HealthSpec&) const = default;
};

enum class RestartPolicy : std::uint8_t { always, on_failure, never };

struct RestartSpec {
    RestartPolicy policy = RestartPolicy::always;
    Millis backoff{200};
    Millis backoff_max{30'000};
    bool operator==(const RestartSpec&) const = default;
};

/// What becomes of traffic that the local copy cannot serve: to the cloud; dropped (what must not leave the site); or
/// to the cloud only when nothing listens, health being ignored.
enum class OnFailure : std::uint8_t { cloud, drop, keep };

struct ServiceSpec {
    std::string name;              // [a-z0-9]([a-z0-9-]*[a-z0-9])?, 1-32 characters
    std::vector<Claim> intercept;  // 1-256, pairwise disjoint
    RunSpec run;
    HealthSpec health;
    RestartSpec restart;
    OnFailure on_failure = OnFailure::cloud;
    Millis drain_timeout{30'000};

    bool operator==(const ServiceSpec&) const = default;
};

/// What `claimable:` of viscum.yaml allows services to take over.
struct ClaimableSpec {
    IpPrefix prefix;
    PortRange ports;  // any, where nothing else is said
    bool operator==(const ClaimableSpec&) const = default;
};

struct TableSizes {
    std::uint32_t rules = 256;      // claims of all services together
    std::uint32_t flows = 4096;     // UDP flows, and TCP flows given back to the cloud
    std::uint32_t fragments = 256;  // fragmented datagrams under way
    bool operator==(const TableSizes&) const = default;
};

/// /etc/NAME/viscum.yaml
struct RouterConfig {
    std::vector<std::string> lan;                  // device names or fnmatch(3) patterns; a bridge stands for its ports
    std::vector<ClaimableSpec> claimable;          // empty: nothing may be claimed
    std::optional<Millis> lease = Millis{30'000};  // nullopt: `lease: off`
    TableSizes tables;
    std::string log_level = "info";  // debug, info, warn, error
    bool operator==(const RouterConfig&) const = default;
};

}  // namespace viscum
