// SPDX-License-Identifier: GPL-2.0-only
// Where the programs are run on frames: the sandbox's own namespace is the router, with a LAN device and the links of
// two versions of one service. The services' sockets are real ones.
//
//   client: eth0 ── lan0  router  svc0 ── eth0 :service    203.0.113.10, .11, .20, .21, 198.51.100.0/24,
//   10.77.0.10,                   svc1 ── eth0 :service2   2001:db8:c::10, ::11, ::20, ::21, 2001:db8:5::/48
//   2001:db8:77::10
//
// The client's other addresses, 10.77.0.99 and 2001:db8:77::99, belong to no stack: for frames that a test writes.
//
// Where a test wants it, wan0 leads by the router's default routes to a namespace `internet`, which has the real
// cloud's 203.0.113.10 and 2001:db8:c::10, and a host 203.0.113.200, 2001:db8:e::200. Its route back to the aliases of
// svc0 stands for the router's NAT.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "netns/net_ns.h"
#include "tcprog/counters.h"
#include "tcprog/link_table.h"
#include "tcprog/loader.h"
#include "tcprog/rule_table.h"
#include "tests/bpf/frame.h"
#include "tests/support/endpoint.h"

namespace viscum {

inline const std::string kClient4 = "10.77.0.99";
inline const std::string kClient6 = "2001:db8:77::99";
inline const std::string kService4 = "203.0.113.10";
inline const std::string kService6 = "2001:db8:c::10";

/// What a service begins: its own address, who is addressed, and the aliases that stand for both on the router's side.
struct Outside {
    std::string owned;
    std::string alias;
    std::string origin;  // stands for `owned` in the real cloud
    std::string remote;  // a host of the internet
};
inline const std::vector<Outside> kOutsides{
    {kService4, "198.19.0.1", "198.19.0.2", "203.0.113.200"},
    {kService6, "fd76:6973:6375:6d::1", "fd76:6973:6375:6d::2", "2001:db8:e::200"}};

/// Both families: what holds for one holds for the other.
struct Family {
    std::string client;
    std::string service;
    std::string other_service;  // an address more of the service
    std::string any;
};
inline const std::vector<Family> kFamilies{{kClient4, kService4, "203.0.113.11", "0.0.0.0"},
                                           {kClient6, kService6, "2001:db8:c::11", "::"}};

/// Where RuleCounters::cloud counts a verdict.
constexpr std::size_t reason(vs_verdict verdict) {
    return std::size_t{verdict} - VS_REASON_FIRST;
}

/// What a program did with a frame.
struct Outcome {
    std::string text;  // "ACTION: VERDICT": "pass: no-listener", "redirect: served", "drop: closed"
    Bytes frame;       // as it is afterwards
};

class Lab {
public:
    /// nullptr, and the running test failed, where it cannot be made. Rules are for ever admitted until set_lease().
    static std::unique_ptr<Lab> make(const DatapathSizes& sizes = {});
    ~Lab();
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;

    /// A rule that serves by the first version: "ADDRESS" or "ADDRESS/LENGTH".
    [[nodiscard]] Rule rule(const std::string& prefix, std::uint16_t first_port, std::uint16_t last_port,
                            std::uint8_t protocol) const;
    [[nodiscard]] Rule rule(const std::string& prefix, std::uint16_t port, std::uint8_t protocol = IPPROTO_TCP) const {
        return rule(prefix, port, port, protocol);
    }
    /// The number of writes; -1, and the test failed, for an error.
    int apply(const std::vector<Rule>& rules);
    /// Rules for `family.service`: TCP port 80 and UDP port 53, in that order.
    [[nodiscard]] std::vector<Rule> usual_rules(const Family& family) const;

    /// Runs vs_lan on a frame that came in through lan0. Checks that one verdict was counted (where the programs are
    /// attached, the stacks' multicast may add some), and that the frame is unchanged.
    Outcome lan(const Bytes& frame);
    Outcome lan(const Frame& frame) { return lan(build(frame)); }
    /// Runs vs_service on a frame that the service sent through its link of version `slot`.
    Outcome service(const Bytes& frame, int slot = 0);
    Outcome service(const Frame& frame, int slot = 0) { return service(build(frame), slot); }

    /// Runs vs_return on a frame that the router sends into the link of version `slot`.
    Outcome back(const Bytes& frame, int slot = 0) { return run(datapath_->vs_return, link_of(slot), frame); }
    Outcome back(const Frame& frame, int slot = 0) { return back(build(frame), slot); }

    /// What the service of version `slot` may begin: both aliases, and nothing yet.
    [[nodiscard]] LinkEgress egress(int slot = 0) const;
    /// The number of writes; -1, and the test failed, for an error.
    int allow(const std::optional<LinkEgress>& egress, int slot = 0);
    [[nodiscard]] LinkCounters link_counters(int slot = 0) const { return links_->counters(link_of(slot)); }
    [[nodiscard]] std::uint64_t refused(const std::string& reason) const;
    /// When the link's bucket of new flows is full again, on every CPU: 0 for now (vs_link_counters::full_at).
    void set_full_at(std::uint64_t boot_ns, int slot = 0) const;

    [[nodiscard]] RuleCounters counters(const Rule& rule) const;
    [[nodiscard]] Verdicts verdicts() const;

    /// False, and the test failed, where it cannot be made.
    bool add_internet();
    /// All programs on their devices, for traffic that is real.
    bool attach();

    [[nodiscard]] const NetNs& client() const { return *client_; }
    [[nodiscard]] const NetNs& internet() const { return *internet_; }
    [[nodiscard]] const NetNs& namespace_of(int slot) const { return slot == 0 ? *service_ : *service2_; }
    [[nodiscard]] std::uint32_t lan_device() const { return lan_; }
    [[nodiscard]] std::uint32_t link_of(int slot) const { return backend_[slot == 0 ? 0 : 1].ifindex; }
    [[nodiscard]] const RuleBackend& backend(int slot) const { return backend_[slot == 0 ? 0 : 1]; }
    [[nodiscard]] Datapath& datapath() { return *datapath_; }
    [[nodiscard]] RuleTable& table() { return *table_; }

private:
    Lab() = default;
    bool set_up_network();
    bool set_up_datapath(const DatapathSizes& sizes);
    Outcome run(const BpfProgram& program, std::uint32_t ifindex, const Bytes& frame);

    std::optional<NetNs> client_;
    std::optional<NetNs> internet_;
    std::optional<NetNs> service_;
    std::optional<NetNs> service2_;
    std::uint32_t lan_ = 0;
    std::array<RuleBackend, 2> backend_;
    std::unique_ptr<Datapath> datapath_;
    std::optional<RuleTable> table_;
    std::optional<LinkTable> links_;
    bool attached_ = false;
};

/// Sockets of a service, gone with the object. Invalid, and the test failed, where one cannot be opened.
UniqueFd listen_tcp(const NetNs& ns, const std::string& address, std::uint16_t port);
UniqueFd bind_udp(const NetNs& ns, const std::string& address, std::uint16_t port);
/// [::]:PORT for both families.
UniqueFd listen_dual_stack(const NetNs& ns, std::uint16_t port);

}  // namespace viscum
