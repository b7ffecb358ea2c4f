// SPDX-License-Identifier: GPL-2.0-only
// The grade `classic`: u32 filters and mirred (classic/), for kernels without usable BPF. It knows no flows: a packet
// to a claimed address goes where the claim goes now. So what runs when a claim changes hands is kept by filters of its
// own, as far as connection tracking and the namespaces' socket tables tell of it.
#pragma once

#include <map>
#include <memory>

#include "base/instance.h"
#include "classic/steer.h"
#include "controller/world/grade.h"
#include "controller/world/kept_flows.h"
#include "netns/addr.h"

namespace viscum {

SteeredClaim steered_claim(const Claim& claim, int slot);

class ClassicGrade final : public Grade {
public:
    /// Learns what an earlier viscumd left, and takes away what one of the grade `socket` did. `reason`: why it is this
    /// grade.
    static Result<std::unique_ptr<ClassicGrade>> open(const Instance& instance, std::string reason);

    [[nodiscard]] std::string name() const override { return "classic"; }
    [[nodiscard]] std::string reason() const override { return reason_; }
    [[nodiscard]] bool has_egress() const override { return false; }
    [[nodiscard]] bool has_lease() const override { return false; }
    [[nodiscard]] LinkShape link_shape(const std::string& service) const override;

    Status look(const NlSocket& socket, const std::vector<LanPort>& ports) override;
    [[nodiscard]] std::string unfit(const LanPort& port) const override;
    Result<bool> attached(IfIndex device) override;
    bool carries(IfIndex device) override;
    Status attach(const LanPort& port) override;
    Status detach(IfIndex device) override;
    Status refresh(const LanPort&) override { return {}; }
    [[nodiscard]] std::string shortfall(const LanPort& port) const override;
    [[nodiscard]] std::vector<IfIndex> remembered() const override { return {}; }
    Status forget(IfIndex device) override;

    Result<bool> fenced(const LinkEnd& link) override;
    Status fence(const LinkEnd& link, const WantedBackend& wanted) override;
    Status clear(IfIndex link) override;
    Status set_egress(const LinkEnd& link, const std::string& service, const WantedBackend& wanted) override;
    Result<bool> egress_in_place(const LinkEnd&) override { return false; }
    Status forget_links_but(const std::set<IfIndex>& links) override;
    [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> egress_counters(IfIndex) const override {
        return {};
    }

    Status write(const std::vector<LinkedRule>& rules) override;
    [[nodiscard]] std::optional<Standing> standing(const Claim& claim) const override;
    Status set_lease(std::optional<BootTime>) override { return {}; }
    Status keep_tracked_flows(const std::vector<Claim>&) override { return {}; }
    [[nodiscard]] bool needs_open_flows() const override { return true; }
    Status keep_open_flows(IfIndex link, const std::vector<SockDiag::Connection>& flows) override;
    ClaimCounters counters(const Claim& claim) override;
    std::vector<std::pair<std::string, std::uint64_t>> verdicts() override;
    void retire(const std::vector<Link>&) override {}
    void tidy() override;

private:
    ClassicGrade(const Instance& instance, std::string reason, NlSocket socket);
    Status adopt(const std::vector<Link>& links);
    [[nodiscard]] std::vector<LanNetwork> networks_on(IfIndex router) const;
    struct Fitting {
        std::vector<U32Filter> filters;
        std::size_t left_out = 0;  // claims for which there is no room: the cloud has them
    };
    [[nodiscard]] Fitting fit(const LanPort& port) const;
    [[nodiscard]] std::vector<U32Filter> filters_on(const LanPort& port) const { return fit(port).filters; }
    [[nodiscard]] std::size_t filters_of_claims() const;
    [[nodiscard]] std::vector<U32Filter> fence_of(IfIndex link, const WantedBackend& wanted) const;
    [[nodiscard]] std::vector<SteeredClaim> steered() const;
    void learn_networks(const std::vector<DeviceAddress>& addresses);
    Status apply(const LanPort& port);
    Status apply_all();
    /// Flows to these claims that the cloud serves, as connection tracking tells; whether there were new ones.
    Result<bool> find_cloud_flows(const std::vector<Claim>& claims);
    /// As they were read last; where one device cannot be read, those before, and counters_known_ is false: a part of
    /// them would make sums that fall, and what they regain later would count twice.
    const std::vector<StandingFilter>& standing_filters();

    std::string instance_;
    std::uint16_t mark_;
    std::string reason_;
    NlSocket socket_;
    std::map<IfIndex, LanPort> ports_;  // of `lan:`
    std::set<IfIndex> attached_;
    std::optional<Mac> mac_;            // of all ports that can be served
    std::vector<LanNetwork> networks_;  // of the router on its LAN
    std::optional<std::vector<LinkedRule>> rules_;
    std::vector<StandingFilter> adopted_;
    KeptFlows kept_;
    std::map<IfIndex, WantedBackend> fences_;
    BootTime tidied_{};
    std::vector<StandingFilter> counted_;  // with the packets that each took
    BootTime counted_at_{};
    bool counters_known_ = true;
};

}  // namespace viscum
