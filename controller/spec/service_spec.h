// SPDX-License-Identifier: GPL-2.0-only
// A service and the router's configuration as values: what a service file and viscum.yaml say, with every default
// filled in. Nothing here knows of YAML; a claim may come from elsewhere one day.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "base/wall_clock.h"
#include "controller/spec/bounds.h"
#include "controller/spec/names.h"

namespace viscum {

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

/// A claim that takes no new flows from a moment of the day's time on (`until`).
struct ClaimEnd {
    Claim claim;
    WallTime at;
    bool operator==(const ClaimEnd&) const = default;
};

struct RunSpec {
    std::vector<std::string> command;  // command[0] is an absolute path; empty with an image: what the image starts
    std::string user;                  // a name of the host's passwd, or a number; empty: the image's unless that is
                                       // root, otherwise an account of the service's own
    std::map<std::string, std::string> env;
    std::string directory;              // where it starts, absolute; empty: the image's, or "/"
    std::string rootfs;                 // a directory that is its root, absolute; empty: none
    std::string image;                  // an image of the store that is its root; at most one of the two
    std::vector<std::string> writable;  // directories that are its own, empty at each start, in memory; beside /tmp
    std::string stop_signal{bounds::kStopSignal.standard};
    Millis stop_timeout = bounds::kStopTimeout.standard;  // then SIGKILL
    bool operator==(const RunSpec&) const = default;
};

/// What a service is let off of, each by its name in spec/allowances.h; "root", "writable-root", "cap_setuid", ...
struct SandboxSpec {
    std::set<std::string> allow;
    bool operator==(const SandboxSpec&) const = default;
};

/// A limit that the file does not state has a default that is kept where the machine can, and `none` lifts it.
struct LimitsSpec {
    enum class Source : std::uint8_t { standard, file, none };
    template <class T>
    struct Limit {
        T value{};
        Source source = Source::standard;
        bool operator==(const Limit&) const = default;
        [[nodiscard]] bool any() const { return source != Source::none; }
    };
    Limit<Bytes> memory{0};                             // standard: half of the machine's
    Limit<std::uint32_t> cpu{0, Source::none};          // hundredths of one CPU: 50 is half of one, 200 are two
    Limit<std::uint32_t> pids{bounds::kPids.standard};  // processes and threads
    Limit<std::uint32_t> open_files{bounds::kOpenFiles.standard};  // of one process
    Bytes tmp = bounds::kTmp.standard;  // all that it may write, /tmp and the rest; counts as memory
    bool required =
        bounds::kFlag.standard;  // false: a limit of the file that this machine cannot keep is passed over, and told
    bool operator==(const LimitsSpec&) const = default;
};

/// A file that is put into the service's root, read-only.
struct FileSpec {
    enum class Source : std::uint8_t {
        text,    // `content` itself
        file,    // of /etc/NAME/files, or of the service's bundle: `content` is its name
        secret,  // of /etc/NAME/secrets: the same; mode 0400 and the service's own, never shown
    };
    std::string path;  // absolute, without "." and ".."
    Source source = Source::text;
    std::string content;
    bool operator==(const FileSpec&) const = default;
};

/// What a service may begin by itself, beside its answers.
struct EgressTarget {
    IpPrefix prefix;
    PortRange ports;  // one port, or any
    Protocol protocol = Protocol::tcp;
    bool operator==(const EgressTarget&) const = default;
    /// "192.0.2.53:53/udp"
    [[nodiscard]] std::string text() const;
};
struct EgressSpec {
    /// Where flows of the service's own leave from (ip_local_port_range); claims may not hold them then.
    static constexpr PortRange kOwnPorts{32768, 60999};
    bool internet = false;  // all that is neither the router nor the LAN nor any private network
    bool origin = false;    // the real cloud, at the addresses that the service owns
    std::vector<EgressTarget> targets;
    bool operator==(const EgressSpec&) const = default;
    [[nodiscard]] bool any() const { return internet || origin || !targets.empty(); }
    /// "none", "internet, origin, 192.0.2.53:53/udp"
    [[nodiscard]] std::string text() const;
};

/// A TCP connection to `port` succeeds.
struct TcpProbe {
    std::uint16_t port = 0;
    bool operator==(const TcpProbe&) const = default;
};
/// GET `path` on `port` is answered with status `expect`.
struct HttpProbe {
    std::uint16_t port = 0;
    std::string path{bounds::kHttpPath};
    std::string host;  // the Host header; empty: the probed address
    int expect = bounds::kHttpExpect.standard;
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
    Millis interval = bounds::kInterval.standard;
    Millis timeout = bounds::kTimeout.standard;
    int fall = bounds::kFall.standard;
    int rise = bounds::kRise.standard;
    Millis start_timeout = bounds::kStartTimeout.standard;
    bool operator==(const HealthSpec&) const = default;
};

struct RestartSpec {
    RestartPolicy policy = bounds::kRestartPolicy.standard;
    Millis backoff = bounds::kBackoff.standard;
    Millis backoff_max = bounds::kBackoffMax.standard;
    bool operator==(const RestartSpec&) const = default;
};

/// A host name by which clients know a claimed address (`name:` of a claim).
struct HostName {
    std::string name;
    IpAddress address;
    bool operator==(const HostName&) const = default;
};

struct ServiceSpec {
    std::string name;              // [a-z0-9]([a-z0-9-]*[a-z0-9])?, 1-32 characters
    std::vector<Claim> intercept;  // 1-256, pairwise disjoint
    std::vector<ClaimEnd> ends;    // of those that end
    std::vector<HostName> names;
    RunSpec run;
    SandboxSpec sandbox;
    LimitsSpec limits;
    std::vector<FileSpec> files;  // at most 64, no path twice
    EgressSpec egress;
    HealthSpec health;
    RestartSpec restart;
    OnFailure on_failure = bounds::kOnFailure.standard;
    Millis drain_timeout = bounds::kDrainTimeout.standard;
    std::string bundle;  // 40 hexadecimal digits: the bundle that its `files:` are of; empty: none

    bool operator==(const ServiceSpec&) const = default;
    /// nullopt: it does not end.
    [[nodiscard]] std::optional<WallTime> end_of(const Claim& claim) const;
};

/// What `claimable:` of viscum.yaml allows services to take over.
struct ClaimableSpec {
    IpPrefix prefix;
    PortRange ports;  // any, where nothing else is said
    bool operator==(const ClaimableSpec&) const = default;
};

struct TableSizes {
    std::uint32_t rules = bounds::kRules.standard;          // claims of all services together
    std::uint32_t flows = bounds::kFlows.standard;          // UDP flows, and TCP flows given back to the cloud
    std::uint32_t fragments = bounds::kFragments.standard;  // fragmented datagrams under way
    bool operator==(const TableSizes&) const = default;
};

/// Addresses that stand in for services' own on the router's side of their links, where `egress` is not none. They
/// never leave the router.
struct AliasRange {
    IpPrefix v4 = IpPrefix::parse(bounds::kAliasV4).value_or(IpPrefix{});  // 16 bits
    IpPrefix v6 = IpPrefix::parse(bounds::kAliasV6).value_or(IpPrefix{});  // 64
    bool operator==(const AliasRange&) const = default;
};

/// What traffic over the uplink costs.
struct Price {
    static constexpr std::uint64_t kUnit = 10'000;  // of the currency: four decimals
    static constexpr std::uint64_t kMost = bounds::kMostCost * kUnit;
    std::uint64_t parts = 0;  // of kUnit, for 1,000,000,000 bytes
    std::string currency;     // 1-8 letters; empty: nobody said
    bool operator==(const Price&) const = default;
    /// "4.50 EUR"
    [[nodiscard]] std::string text() const;
};

/// /etc/NAME/viscum.yaml
struct RouterConfig {
    std::vector<std::string> lan;          // device names or fnmatch(3) patterns; a bridge stands for its ports
    std::vector<ClaimableSpec> claimable;  // empty: nothing may be claimed
    std::optional<Millis> lease = bounds::kLease.standard;  // nullopt: `lease: off`
    TableSizes tables;
    AliasRange aliases;
    DatapathChoice datapath = bounds::kDatapath.standard;
    std::vector<std::string> trust;    // "ssh-ed25519 BASE64": who signs bundles; empty: whoever deploys is trusted
    std::optional<Price> cost_per_gb;  // of the uplink
    bool metered = false;              // the uplink is paid by what goes over it: nothing is measured over it
    bool measure_cloud = true;         // now and then how far the real cloud is; not where the uplink is metered
    std::string log_level{bounds::kLogLevel.standard};
    bool operator==(const RouterConfig&) const = default;
};

}  // namespace viscum
