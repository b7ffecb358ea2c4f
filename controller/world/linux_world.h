// SPDX-License-Identifier: GPL-2.0-only
// World on Linux: composes netns and a grade.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/instance.h"
#include "controller/spec/service_spec.h"
#include "controller/world/grade.h"
#include "controller/world/lan_devices.h"
#include "controller/world/suspects.h"
#include "controller/world/world.h"
#include "netns/addr.h"
#include "netns/link.h"
#include "netns/masquerade.h"
#include "netns/nl_socket.h"

namespace viscum {

class LinuxWorld final : public World {
public:
    /// In the router's namespace.
    static Result<std::unique_ptr<LinuxWorld>> open(const Instance& instance, const RouterConfig& config,
                                                    std::unique_ptr<Grade> grade);

    /// A changed viscum.yaml; table sizes keep until the next start.
    void set_lan(const std::vector<std::string>& patterns);

    /// For the loop: news of nftables' rules, once a service has needed masquerading; -1 before.
    [[nodiscard]] int nft_watch_fd() const { return nft_watch_ ? nft_watch_->fd() : -1; }
    bool drain_nft_watch();
    /// Where nothing is masqueraded, nobody needs the watch: it is taken from the loop, and then closed.
    [[nodiscard]] bool masquerades() const { return masquerade_there_; }
    void close_nft_watch() { nft_watch_.reset(); }

    /// Called with a backend's watch before it is closed.
    void before_closing(std::function<void(int fd)> hook) { before_closing_ = std::move(hook); }
    /// For the loop. A backend's watch exists with its namespace: -1 where there is none.
    [[nodiscard]] int router_watch_fd() const { return router_watch_.fd(); }
    [[nodiscard]] int backend_watch_fd(const BackendKey& key) const;
    /// Reads the news and suspects what it speaks of. Returns whether there was any.
    bool drain_router_watch();
    bool drain_backend_watch(const BackendKey& key);

    void know(const BackendKey& key) override;
    Status adopt_net_ns(const BackendKey& key, pid_t process) override;
    void forget(const BackendKey& key) override;
    void suspect_router() override { links_suspected_.add_all(); }
    void suspect_backend(const BackendKey& key) override;
    void suspect_names() override { names_suspected_.add_all(); }
    void suspect_name(const std::string& net_ns) override;
    Result<Actual> observe() override;
    Status execute(const Step& step, const Wanted& wanted) override;
    [[nodiscard]] bool has_name(const BackendKey& key) const override;
    [[nodiscard]] const NetNs* net_ns(const BackendKey& key) const override;
    [[nodiscard]] bool has_link(const BackendKey& key) const override;
    Result<std::uint32_t> open_connections(const BackendKey& key) override;
    [[nodiscard]] Admission admission_in_kernel(const Claim& claim) const override;
    [[nodiscard]] std::optional<int> active_in_kernel(const Claim& claim) const override;
    [[nodiscard]] const Grade& grade() const override { return *grade_; }
    Status set_lease(std::optional<BootTime> until) override { return grade_->set_lease(until); }
    Status keep_tracked_flows(const std::vector<Claim>& claims) override { return grade_->keep_tracked_flows(claims); }
    [[nodiscard]] std::vector<LanDevice> lan_devices() const override { return lan_.list(); }
    Result<std::vector<IpPrefix>> own_networks() override;
    ClaimCounters counters(const Claim& claim) override { return grade_->counters(claim); }
    std::vector<std::pair<std::string, std::uint64_t>> egress_counters(const BackendKey& key) override;
    std::optional<EgressBytes> egress_bytes(const BackendKey& key) override;
    std::vector<std::pair<std::string, std::uint64_t>> verdicts() override { return grade_->verdicts(); }

private:
    struct Backend {
        std::string service;
        std::string net_ns_name;
        std::string link_name;
        std::optional<NetNs> net_ns;
        std::optional<NlWatch> watch;
        LinkEnd link;  // as last seen: what rules carry until there is a new one; 0: never made, or not to be had
        bool link_stands = false;                 // under whatever name
        std::optional<Grade::LinkShape> shape{};  // as last written
        ActualBackend actual;
    };
    LinuxWorld(const Instance& instance, const AliasRange& aliases, NlSocket socket, NlWatch watch,
               std::unique_ptr<Grade> grade);
    static Status observe_name(Backend& backend);
    Status observe_names();
    /// All links, and the LAN.
    Status observe_router();
    /// Those of the backends that news spoke of.
    Status observe_few_links();
    /// `named`: the link of the backend's name; `numbered`: the one of the number that it had; nullptr: none.
    Status observe_link(Backend& backend, const Link* named, const Link* numbered);
    void suspect_device(std::uint32_t device);
    static Status make_net_ns(Backend& backend);
    Status make_link(const BackendKey& key, Backend& backend);
    static Status set_sysctls(const Backend& backend, const WantedBackend& wanted, const Grade::LinkShape& shape);
    static Status write_addresses(const NlSocket& inside, IfIndex device, Backend& backend,
                                  const OwnedAddresses& owned);
    Status set_addresses(Backend& backend, const WantedBackend& wanted);
    Status attach_fence(Backend& backend, const WantedBackend& wanted);
    Status set_egress(const BackendKey& key, Backend& backend, const WantedBackend& wanted);
    [[nodiscard]] Result<bool> egress_in_place(const Backend& backend) const;
    /// Entries of links that are none of ours any more: an interrupted step may have left one.
    Status forget_gone_links();
    Status observe_masquerade();
    Status open_nft_watch();
    Status make_masquerade();
    Status remove_masquerade();
    void forget_untranslated();
    Status remove_link(Backend& backend);
    Status remove_net_ns(Backend& backend);
    static Status open_watch(Backend& backend);
    void close_watch(Backend& backend);
    Status write_rules(const std::vector<WantedRule>& rules);
    [[nodiscard]] LinkedRule with_links(const WantedRule& wanted) const;
    /// Tells the grade which connections a backend has whose claims lead, or are about to lead, elsewhere.
    Status keep_open_flows(const std::vector<WantedRule>& rules);
    static Result<std::vector<SockDiag::Connection>> open_flows(const NetNs& ns, const std::vector<Claim>& claims);

    Instance instance_;
    NlSocket socket_;
    NlWatch router_watch_;
    std::unique_ptr<Grade> grade_;
    LanDevices lan_;
    Masquerade masquerade_;
    std::optional<NftWatch> nft_watch_;
    bool masquerade_there_ = false;
    bool untranslated_ = false;  // flows may have begun while it was not there
    bool masquerade_suspected_ = true;
    std::map<BackendKey, Backend> backends_;
    std::function<void(int fd)> before_closing_;
    std::optional<std::vector<WantedRule>> written_;
    BootTime flows_kept_at_{};
    Suspects links_suspected_;  // all: the LAN's as well
    Suspects names_suspected_;
    std::set<std::uint32_t> removed_links_;  // by us since all were looked at: their last news are none
};

}  // namespace viscum
