// SPDX-License-Identifier: GPL-2.0-only
// The one seam to the kernel: what the planner's steps do to it, and what stands there.
// One implementation talks to Linux; tests have another that records.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "controller/plan/plan.h"
#include "controller/plan/state.h"
#include "netns/net_ns.h"

namespace viscum {

struct LanDevice {
    std::string device;
    std::string bridge;  // of which it is a port; empty: it is itself meant by `lan:`
    bool attached = false;
    std::string problem;  // of the last attempt to attach, why there is none, or what it lacks though attached
    bool usable = true;   // false: its frames are none that the programs can read
};

struct ClaimCounters {
    std::uint64_t flows = 0;
    std::uint64_t packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0;
    std::uint64_t flows_cloud = 0;
    std::vector<std::pair<std::string, std::uint64_t>> cloud;  // reason -> packets; only those that occurred
    bool known = true;                                         // false: they cannot be read now
};

/// Bytes of flows that a backend began. They begin at 0 with its link, whose number is never given twice.
struct EgressBytes {
    std::uint32_t link = 0;
    std::uint64_t in = 0, out = 0;
};

class Grade;

class World {
public:
    virtual ~World() = default;

    /// How it directs traffic.
    [[nodiscard]] virtual const Grade& grade() const = 0;

    /// A backend that may exist: it is looked at from now on. Idempotent.
    virtual void know(const BackendKey& key) = 0;
    /// A process of it that a viscumd before started: its namespace is the backend's, also where its name was taken
    /// away.
    virtual Status adopt_net_ns(const BackendKey& key, pid_t process) = 0;
    /// It is gone for good, and so is a name without a namespace that an interrupted step may have left. Closes the
    /// backend's watch.
    virtual void forget(const BackendKey& key) = 0;

    /// News came: what it may concern is read again by the next observe().
    virtual void suspect_router() = 0;
    virtual void suspect_backend(const BackendKey& key) = 0;
    virtual void suspect_names() = 0;  // of all namespaces
    virtual void suspect_name(const std::string& net_ns) = 0;
    /// What is, re-read where suspected; the `process` fields are left false.
    virtual Result<Actual> observe() = 0;

    /// One step of make_plan() that concerns the kernel's network; launch and end_process are not for the world.
    virtual Status execute(const Step& step, const Wanted& wanted) = 0;

    /// Whether a namespace of the backend's name is there.
    [[nodiscard]] virtual bool has_name(const BackendKey& key) const = 0;
    /// nullptr: the backend has none.
    [[nodiscard]] virtual const NetNs* net_ns(const BackendKey& key) const = 0;
    /// Whether it had a link since it was known, which rules then name; one that another tool removed is made again.
    [[nodiscard]] virtual bool has_link(const BackendKey& key) const = 0;
    /// TCP connections with clients that are open in a backend.
    virtual Result<std::uint32_t> open_connections(const BackendKey& key) = 0;
    /// The admission that the kernel's table holds for a claim, for adoption.
    [[nodiscard]] virtual Admission admission_in_kernel(const Claim& claim) const = 0;
    /// The slot that gets a claim's new flows by the kernel's table; nullopt: no such rule.
    [[nodiscard]] virtual std::optional<int> active_in_kernel(const Claim& claim) const = 0;

    virtual Status set_lease(std::optional<BootTime> until) = 0;
    /// UDP flows of these claims that the cloud serves stay with it.
    virtual Status keep_tracked_flows(const std::vector<Claim>& claims) = 0;

    [[nodiscard]] virtual std::vector<LanDevice> lan_devices() const = 0;
    virtual Result<std::vector<IpPrefix>> own_networks() = 0;
    virtual ClaimCounters counters(const Claim& claim) = 0;
    /// Packets of flows that a backend began, or tried to: "out", "in", and refused ones by reason.
    virtual std::vector<std::pair<std::string, std::uint64_t>> egress_counters(const BackendKey& key) = 0;
    /// nullopt: it may begin none.
    virtual std::optional<EgressBytes> egress_bytes(const BackendKey& key) = 0;
    virtual std::vector<std::pair<std::string, std::uint64_t>> verdicts() = 0;
};

}  // namespace viscum
