// SPDX-License-Identifier: GPL-2.0-only
// World on Linux: composes netns and tcprog.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/instance.h"
#include "controller/spec/service_spec.h"
#include "controller/world/lan_devices.h"
#include "controller/world/suspects.h"
#include "controller/world/world.h"
#include "netns/addr.h"
#include "netns/link.h"
#include "netns/masquerade.h"
#include "netns/nl_socket.h"
#include "tcprog/link_table.h"
#include "tcprog/rule_table.h"

namespace viscum {

class LinuxWorld final : public World {
public:
    /// In the router's namespace. Loads or adopts the datapath, and takes over from an earlier one.
    static Result<std::unique_ptr<LinuxWorld>> open(const Instance& instance, const RouterConfig& config,
                                                    NewerTables newer = NewerTables::refuse);
    /// What was found beside our own tables when it was opened, but for what was retired since.
    [[nodiscard]] const Carryover& carryover() const { return datapath_->carryover; }

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
    Status set_lease(std::optional<BootTime> until) override { return rules_.set_lease(until); }
    Status keep_tracked_flows(const std::vector<Claim>& claims) override;
    [[nodiscard]] std::vector<LanDevice> lan_devices() const override { return lan_.list(); }
    Result<std::vector<IpPrefix>> own_networks() override;
    ClaimCounters counters(const Claim& claim) override;
    std::vector<std::pair<std::string, std::uint64_t>> egress_counters(const BackendKey& key) override;
    std::vector<std::pair<std::string, std::uint64_t>> verdicts() override;

private:
    struct Backend {
        std::string net_ns_name;
        std::string link_name;
        std::optional<NetNs> net_ns;
        std::optional<NlWatch> watch;
        IfIndex link{};  // as last seen: what rules carry until there is a new one; 0: never made, or not to be had
        bool link_stands = false;  // under whatever name
        std::uint32_t nsid = 0;
        ActualBackend actual;
    };
    LinuxWorld(const Instance& instance, const AliasRange& aliases, NlSocket socket, NlWatch watch,
               std::unique_ptr<Datapath> datapath);
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
    static Status set_sysctls(const Backend& backend, const WantedBackend& wanted);
    static Status write_addresses(const NlSocket& inside, IfIndex device, Backend& backend,
                                  const WantedBackend& wanted);
    Status set_addresses(Backend& backend, const WantedBackend& wanted);
    Status attach_fence(Backend& backend);
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
    /// The one place where a claim becomes the rule table's key.
    [[nodiscard]] static RuleKey rule_key(const Claim& claim);
    Status write_rules(const std::vector<WantedRule>& rules);
    [[nodiscard]] Rule to_rule(const WantedRule& wanted) const;

    Instance instance_;
    std::uint32_t filter_handle_;
    NlSocket socket_;
    NlWatch router_watch_;
    std::unique_ptr<Datapath> datapath_;
    RuleTable rules_;
    LinkTable links_;
    LanDevices lan_;
    Masquerade masquerade_;
    std::optional<NftWatch> nft_watch_;
    bool masquerade_there_ = false;
    bool untranslated_ = false;  // flows may have begun while it was not there
    bool masquerade_suspected_ = true;
    std::map<BackendKey, Backend> backends_;
    std::function<void(int fd)> before_closing_;
    std::optional<std::vector<WantedRule>> written_;
    Suspects links_suspected_;  // all: the LAN's as well
    Suspects names_suspected_;
    std::set<std::uint32_t> removed_links_;  // by us since all were looked at: their last news are none
};

}  // namespace viscum
