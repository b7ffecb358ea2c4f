// SPDX-License-Identifier: GPL-2.0-only
// How packets of claims get to services' links and back: the part of the world that depends on what the kernel has.
// One implementation a grade: SocketGrade (BPF programs that ask the socket table) and ClassicGrade (u32 and mirred).
// Namespaces, links and addresses are the same for both. All calls act in the router's namespace.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "controller/plan/state.h"
#include "controller/world/world.h"
#include "netns/link.h"
#include "netns/nl_socket.h"
#include "netns/sock_diag.h"

namespace viscum {

/// A device that `lan:` means, as a grade needs to know it.
struct LanPort {
    IfIndex device{};  // carries the filter
    std::string name;
    IfIndex router{};  // by which the router itself speaks to its clients: the bridge, or the device
    Mac mac{};         // of `router`
    bool is_port = false;
    bool ethernet = true;
    bool operator==(const LanPort&) const = default;
};

/// The router's end of a backend's link, and how its namespace is called here.
struct LinkEnd {
    IfIndex device{};
    std::uint32_t nsid = 0;
    bool operator==(const LinkEnd&) const = default;
};

/// A rule with the links that it leads to; a slot without one has the device 0.
struct LinkedRule {
    WantedRule rule;
    std::array<LinkEnd, 2> links;
    bool operator==(const LinkedRule&) const = default;
};

class Grade {
public:
    virtual ~Grade() = default;

    /// "socket" or "classic", and why it is that one; empty where nothing spoke against the best.
    [[nodiscard]] virtual std::string name() const = 0;
    [[nodiscard]] virtual std::string reason() const = 0;
    /// Whether services may begin flows of their own.
    [[nodiscard]] virtual bool has_egress() const = 0;
    /// Whether the kernel gives up new flows by itself where viscumd renews no lease.
    [[nodiscard]] virtual bool has_lease() const = 0;

    /// The service's end of a link: its MAC, and whether it asks for its clients' (ARP, neighbour discovery).
    struct LinkShape {
        Mac mac{};
        bool arp = false;
        bool forwards = true;                 // the router's end: its stack may find the way of what comes in
        std::optional<IpAddress> solicits{};  // owned as well where IPv6 prefixes are
        bool operator==(const LinkShape&) const = default;
    };
    [[nodiscard]] virtual LinkShape link_shape(const std::string& service) const = 0;

    // LAN devices. look() comes before the others; all of `lan:` are in it, and none that is gone.
    virtual Status look(const NlSocket& socket, const std::vector<LanPort>& ports) = 0;
    /// Why a port cannot be served; empty: it can.
    [[nodiscard]] virtual std::string unfit(const LanPort& port) const = 0;
    /// Whether all of ours is on the device.
    virtual Result<bool> attached(IfIndex device) = 0;
    /// Whether anything of ours is on it, also of an earlier viscumd.
    virtual bool carries(IfIndex device) = 0;
    virtual Status attach(const LanPort& port) = 0;
    /// Idempotent: no device is success.
    virtual Status detach(IfIndex device) = 0;
    /// Brings what the kernel knows of an attached port up to date.
    virtual Status refresh(const LanPort& port) = 0;
    /// What an attached port lacks; empty: nothing.
    [[nodiscard]] virtual std::string shortfall(const LanPort&) const { return {}; }
    /// Devices of which the kernel still knows something that an earlier viscumd told it.
    [[nodiscard]] virtual std::vector<IfIndex> remembered() const = 0;
    virtual Status forget(IfIndex device) = 0;

    // Services' links.
    virtual Result<bool> fenced(const LinkEnd& link) = 0;
    virtual Status fence(const LinkEnd& link, const WantedBackend& wanted) = 0;
    /// Nothing is known of the link: a number may have been another's, or will be. Idempotent.
    virtual Status clear(IfIndex link) = 0;
    virtual Status set_egress(const LinkEnd& link, const std::string& service, const WantedBackend& wanted) = 0;
    virtual Result<bool> egress_in_place(const LinkEnd& link) = 0;
    /// What is known of links other than these is forgotten: an interrupted step may have left something.
    virtual Status forget_links_but(const std::set<IfIndex>& links) = 0;
    [[nodiscard]] virtual std::vector<std::pair<std::string, std::uint64_t>> egress_counters(IfIndex link) const = 0;
    [[nodiscard]] virtual std::optional<EgressBytes> egress_bytes(IfIndex) const { return std::nullopt; }

    // Rules.
    virtual Status write(const std::vector<LinkedRule>& rules) = 0;
    /// As the kernel has it; nullopt: no such rule. Before the first write: what an earlier viscumd wrote.
    struct Standing {
        Admission admission = Admission::off;
        int active = 0;
    };
    [[nodiscard]] virtual std::optional<Standing> standing(const Claim& claim) const = 0;
    virtual Status set_lease(std::optional<BootTime> until) = 0;
    /// UDP flows of these claims that the cloud serves stay with it.
    virtual Status keep_tracked_flows(const std::vector<Claim>& claims) = 0;
    /// Whether a link's open connections have to be told by keep_open_flows() before its rules stop leading to it.
    [[nodiscard]] virtual bool needs_open_flows() const = 0;
    /// Connections that stay with the link, whatever rules say; those of an earlier call are forgotten.
    virtual Status keep_open_flows(IfIndex link, const std::vector<SockDiag::Connection>& flows) = 0;
    virtual ClaimCounters counters(const Claim& claim) = 0;
    virtual std::vector<std::pair<std::string, std::uint64_t>> verdicts() = 0;

    /// What an earlier viscumd, or another grade, left is taken away where nothing uses it any more.
    virtual void retire(const std::vector<Link>& links) = 0;
    /// What is only worth doing now and then; called with every look at the kernel.
    virtual void tidy() = 0;
};

}  // namespace viscum
