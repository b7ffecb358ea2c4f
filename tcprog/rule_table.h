// SPDX-License-Identifier: GPL-2.0-only
// The rules in the kernel, kept equal to the ones that are wanted.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/admission.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "tcprog/loader.h"
#include "tcprog/rule_index.h"

namespace viscum {

struct RuleBackend {
    std::uint32_t nsid = 0;
    std::uint32_t ifindex = 0;  // 0: none
    bool operator==(const RuleBackend&) const = default;
};

struct Rule {
    RuleKey key;
    std::string service;  // whose it is: a claim that changes hands gets new counters
    std::array<RuleBackend, 2> backend;
    std::uint8_t active = 0;
    Admission admission = Admission::off;
    bool closed = false;  // on_failure: drop
    bool several_addresses = false;
    bool operator==(const Rule&) const = default;
};

/// A UDP flow that is not ours.
struct CloudFlow {
    IpAddress client;
    IpAddress service;
    std::uint16_t client_port = 0;
    std::uint16_t service_port = 0;
};

/// Writes rules, and remembers what it wrote: only differences go to the kernel.
class RuleTable {
public:
    /// Reads what stands in the maps, for example from the viscumd before. `datapath` must outlive the table.
    static RuleTable adopt(const Datapath& datapath);

    /// Makes the rules equal to `wanted` and returns the number of writes: 0 says that all was in place. A rule that
    /// stays keeps its index and counters; a new one is there whole before it can be found, an old one cannot be found
    /// before it goes; its UDP flows are forgotten. Where the table is too full for both side by side, the old ones go
    /// first. errno_code ENOSPC: more rules, or ranges of ports, than the tables hold; nothing was changed.
    Result<int> apply(const std::vector<Rule>& wanted);

    /// The index of a rule for counters.
    [[nodiscard]] std::optional<std::uint32_t> index_of(const RuleKey& key) const;

    /// New flows are admitted until `until`; nullopt: for ever.
    Status set_lease(std::optional<BootTime> until);

    /// UDP flows that began with the cloud and stay there.
    Status keep_with_cloud(const std::vector<CloudFlow>& flows);

    /// Tells the programs the bridge's MAC behind a port; nullopt: forget the port. Returns the number of writes.
    Result<int> set_lan_device(std::uint32_t ifindex, std::optional<std::array<std::uint8_t, 6>> bridge_mac);

private:
    explicit RuleTable(const Datapath& datapath) : datapath_(&datapath) {}
    void read_index();
    [[nodiscard]] std::optional<std::map<RuleKey, std::uint32_t>> assign(const std::vector<Rule>& wanted) const;
    [[nodiscard]] Status check_room(const RuleIndex& wanted) const;
    Result<int> remove_then_apply(const std::vector<Rule>& wanted);
    Status put_rule(std::uint32_t index, const Rule& rule, int* writes);
    Status apply_index(const RuleIndex& wanted, int* writes);
    Status write_index(const RuleIndex& wanted, int* writes);
    Status remove_rules_but(const std::map<RuleKey, std::uint32_t>& staying, int* writes);
    void forget_flows(const std::map<RuleKey, std::uint32_t>& gone) const;

    const Datapath* datapath_;
    std::map<RuleKey, std::uint32_t> indexes_;
    std::map<std::uint32_t, std::uint64_t> owners_;
    std::map<std::uint32_t, vs_rule> values_;  // as read or written; those that are not here are to be read
    RuleIndex index_;
    std::optional<std::map<RuleKey, std::uint32_t>> indexed_;  // what index_ was built of; nullopt: to be built again
    vs_config config_{};
};

}  // namespace viscum
