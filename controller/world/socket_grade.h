// SPDX-License-Identifier: GPL-2.0-only
// The grade `socket`: BPF programs that ask the namespaces' socket tables (tcprog/).
#pragma once

#include <memory>

#include "base/instance.h"
#include "controller/spec/service_spec.h"
#include "controller/world/grade.h"
#include "tcprog/link_table.h"
#include "tcprog/rule_table.h"

namespace viscum {

class SocketGrade final : public Grade {
public:
    /// Loads or adopts the programs, and takes over from an earlier viscumd. errno_code ENOEXEC: this kernel cannot
    /// have them.
    static Result<std::unique_ptr<SocketGrade>> open(const Instance& instance, const TableSizes& tables,
                                                     const NlSocket& socket, NewerTables newer);

    /// What was found beside our own tables when it was opened, but for what was retired since.
    [[nodiscard]] const Carryover& carryover() const { return datapath_->carryover; }

    [[nodiscard]] std::string name() const override { return "socket"; }
    [[nodiscard]] std::string reason() const override { return ""; }
    [[nodiscard]] bool has_egress() const override { return true; }
    [[nodiscard]] bool has_lease() const override { return true; }
    [[nodiscard]] LinkShape link_shape(const std::string& service) const override;

    Status look(const NlSocket&, const std::vector<LanPort>&) override { return {}; }
    [[nodiscard]] std::string unfit(const LanPort& port) const override;
    Result<bool> attached(IfIndex device) override;
    bool carries(IfIndex device) override;
    Status attach(const LanPort& port) override;
    Status detach(IfIndex device) override;
    Status refresh(const LanPort& port) override;
    [[nodiscard]] std::vector<IfIndex> remembered() const override;
    Status forget(IfIndex device) override;

    Result<bool> fenced(const LinkEnd& link) override;
    Status fence(const LinkEnd& link, const WantedBackend& wanted) override;
    Status clear(IfIndex link) override;
    Status set_egress(const LinkEnd& link, const std::string& service, const WantedBackend& wanted) override;
    Result<bool> egress_in_place(const LinkEnd& link) override;
    Status forget_links_but(const std::set<IfIndex>& links) override;
    [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> egress_counters(IfIndex link) const override;
    [[nodiscard]] std::optional<EgressBytes> egress_bytes(IfIndex link) const override;

    Status write(const std::vector<LinkedRule>& rules) override;
    [[nodiscard]] std::optional<Standing> standing(const Claim& claim) const override;
    Status set_lease(std::optional<BootTime> until) override { return rules_.set_lease(until); }
    Status keep_tracked_flows(const std::vector<Claim>& claims) override;
    [[nodiscard]] bool needs_open_flows() const override { return false; }
    Status keep_open_flows(IfIndex, const std::vector<SockDiag::Connection>&) override { return {}; }
    ClaimCounters counters(const Claim& claim) override;
    std::vector<std::pair<std::string, std::uint64_t>> verdicts() override;
    void retire(const std::vector<Link>& links) override;
    void tidy() override {}

private:
    SocketGrade(const Instance& instance, std::unique_ptr<Datapath> datapath);

    std::string instance_;
    std::uint32_t filter_handle_;
    bool first_look_ = true;
    std::unique_ptr<Datapath> datapath_;
    RuleTable rules_;
    LinkTable links_;
};

}  // namespace viscum
