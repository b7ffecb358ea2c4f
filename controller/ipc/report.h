// SPDX-License-Identifier: GPL-2.0-only
// What viscumd says of itself and of its services: the values behind every table and every --json.
// docs/json.md names each field; a field is added, never renamed or removed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace viscum {

/// One reason why packets of claimed flows went to the cloud (or were dropped), in packets.
struct ReasonCount {
    std::string reason;  // "no-listener", "draining", "lease-expired", …: the names of tcprog/counters.h
    std::uint64_t packets = 0;
    bool operator==(const ReasonCount&) const = default;
};

/// Why a service's new flows went to the cloud: "exited", "unhealthy", "drained", "other".
struct CauseCount {
    std::string cause;
    std::uint64_t times = 0;
    bool operator==(const CauseCount&) const = default;
};
inline constexpr std::array kGivenBackCauses{"exited", "unhealthy", "drained", "ended", "other"};

/// How many fail-overs took no longer than `ms`: cumulative.
struct FailoverBucket {
    std::uint64_t ms = 0;
    std::uint64_t count = 0;
    bool operator==(const FailoverBucket&) const = default;
};
inline constexpr std::array<std::uint64_t, 14> kFailoverBounds{1,   2,   5,     10,    20,    50,     100,
                                                               200, 500, 1'000, 2'000, 5'000, 10'000, 30'000};

struct ClaimReport {
    std::string claim;      // "203.0.113.10:443/tcp"
    std::string admission;  // "serve", "drain" or "off"
    std::string until{};    // "2026-12-31T23:59:00Z": it takes no new flows from then on; empty: it does not end
    bool ended = false;     // that is over
    std::uint64_t flows = 0;
    std::uint64_t packets_in = 0, bytes_in = 0;    // from clients
    std::uint64_t packets_out = 0, bytes_out = 0;  // to clients
    std::uint64_t flows_cloud = 0;                 // new flows given to the cloud
    std::vector<ReasonCount> cloud;                // packets given to the cloud, by reason
    bool operator==(const ClaimReport&) const = default;
};

struct ServiceReport {
    std::string name;
    std::string state;      // "down", "preparing", "starting", "up", "stopping", "backoff", "failed"
    std::string health;     // "healthy", "unhealthy", "unknown"
    std::string admission;  // "serve", "drain", "off": "serve" if any claim is served
    std::string reason;     // why it is not up and served; empty if it is
    std::string last_exit;  // "exited with 1", "killed by SIGKILL"; empty: never ended
    std::string namespace_name;
    std::string link;      // the router's end of its link
    std::int64_t pid = 0;  // of its shim; 0: none
    std::uint64_t restarts = 0;
    std::int64_t up_ms = 0;                  // since the process started; 0: none
    bool drained = false;                    // by the operator
    std::int64_t confirm_ms_left = -1;       // then the version before comes back, unless confirmed; -1: it stays
    bool drops = false;                      // on_failure: drop: what is not served goes nowhere, and not to the cloud
    bool updating = false;                   // the version before still finishes its connections
    std::string digest;                      // of the service file, 16 hexadecimal digits
    std::string user;                        // that it runs as: "33 (www-data)", "1879052301"; empty: it does not run
    std::vector<std::string> allows;         // what its sandbox lets it off of: names of spec/allowances.h
    std::vector<std::string> limits;         // "memory 64M", "cpu 50% (not kept: no controller)"
    std::uint64_t memory_bytes = 0;          // in use now
    std::uint64_t cpu_ms = 0;                // used since the process started
    std::uint64_t pids = 0;                  // processes and threads now
    std::uint64_t oom_kills = 0;             // processes killed because its memory was used up
    std::uint64_t forks_refused = 0;         // because of its limit of processes
    std::string image;                       // "nginx (0123456789ab)"; empty: none
    std::string bundle;                      // "1.4 (0123456789ab)", of what runs; empty: none
    std::string egress;                      // "none", "internet, origin", "192.0.2.53:53/udp"
    std::vector<ReasonCount> egress_counts;  // packets of flows that it began: "out", "in", and refused ones by reason
    std::uint64_t log_dropped = 0;           // bytes of its output that were not logged
    std::int64_t probe_us = -1;              // round trip of the last healthy probe; -1: there is none
    std::uint64_t failovers = 0;             // from a first sign to the rules that stand, since viscumd started
    std::uint64_t failover_us = 0;           // all of them together
    std::int64_t failover_last_us = -1;      // -1: there was none
    std::vector<FailoverBucket> failover_buckets;  // of kFailoverBounds; empty: there was none
    std::vector<CauseCount> given_back;            // of kGivenBackCauses
    std::int64_t given_back_ms_ago = -1;           // -1: never since viscumd started
    std::string given_back_cause;                  // of that last time
    std::vector<ClaimReport> claims;
    bool operator==(const ServiceReport&) const = default;
};

struct LanReport {
    std::string device;
    std::string bridge;  // the bridge of lan: that it is a port of; empty: itself
    bool attached = false;
    std::string problem;  // why not, or which filter of another tool comes first
    bool operator==(const LanReport&) const = default;
};

struct DaemonReport {
    std::string instance;
    std::string version;
    std::string grade;         // "socket" or "classic"
    std::string grade_reason;  // why it is not the best one
    std::int64_t pid = 0;
    std::int64_t lease_ms_left = -1;  // -1: lease off
    std::vector<LanReport> lan;
    std::vector<ReasonCount> verdicts;  // all packets seen on the LAN side, by verdict
    std::vector<ServiceReport> services;
    bool operator==(const DaemonReport&) const = default;
};

/// One thing that a service can or cannot do.
struct AuditEntry {
    std::string name;  // "capabilities", "user", "egress", …
    bool ok = true;
    std::uint64_t exposure = 0;  // tenths of a point; 0 where it is ok
    std::string text;            // "runs as uid 1879052301, an account of its own"
    bool operator==(const AuditEntry&) const = default;
};

/// What `viscumctl audit` shows: the answer to the verb "audit", in Response::report.
struct AuditReport {
    std::string service;
    bool running = false;     // false: its file was judged, not its process
    std::uint64_t score = 0;  // tenths of a point: 0 (nothing is exposed) to 100
    std::string word;         // "OK", "MEDIUM", "EXPOSED", "UNSAFE"
    std::vector<AuditEntry> items;
    bool operator==(const AuditReport&) const = default;
};

/// Whether a service has an address of the cloud's; without any, no device of the LAN carries a filter.
bool claims_anything(const DaemonReport& report);

/// The JSON text of a value, and back; nullopt for text that is not such a value. Compact, one line.
std::string to_json(const DaemonReport& report);
std::string to_json(const ServiceReport& report);
std::string to_json(const AuditReport& report);
std::optional<DaemonReport> daemon_report_from_json(const std::string& text);
std::optional<ServiceReport> service_report_from_json(const std::string& text);
std::optional<AuditReport> audit_report_from_json(const std::string& text);

}  // namespace viscum
