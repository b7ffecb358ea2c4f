// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/rule_table.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>

#include "base/text.h"
#include "tcprog/counters.h"

namespace viscum {
namespace {

constexpr std::uint64_t kNoLease = ~0ULL;
constexpr std::uint32_t kNoRule = ~0U;

static_assert(static_cast<int>(Admission::off) == VS_OFF && static_cast<int>(Admission::drain) == VS_DRAIN &&
              static_cast<int>(Admission::serve) == VS_SERVE);

template <class T>
bool same_bytes(const T& a, const T& b) {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}

std::uint64_t owner_of(const std::string& service) {
    const auto hash = fnv1a(service);
    return hash == 0 ? 1 : hash;
}

vs_rule abi_rule(const Rule& rule) {
    vs_rule out{};
    for (std::size_t slot = 0; slot < rule.backend.size(); ++slot) {
        out.backend[slot] = {rule.backend[slot].nsid, rule.backend[slot].ifindex};
    }
    out.active = rule.active;
    out.admission = static_cast<__u8>(rule.admission);
    out.flags = static_cast<__u8>((rule.closed ? VS_RULE_CLOSED : 0) | (rule.several_addresses ? VS_RULE_SEVERAL : 0));
    return out;
}

vs_claim abi_claim(const Rule& rule) {
    vs_claim out{};
    out.addr = abi_address(rule.key.prefix.address);
    out.owner = owner_of(rule.service);
    out.first_port = rule.key.first_port;
    out.last_port = rule.key.last_port;
    out.length = static_cast<__u8>(rule.key.prefix.length);
    out.protocol = rule.key.protocol;
    return out;
}

RuleKey from_claim(const vs_claim& claim) {
    return {{from_abi(claim.addr), claim.length}, claim.first_port, claim.last_port, claim.protocol};
}

Error no_port_room(const DatapathSizes& sizes) {
    return {ENOSPC, cat("the claims' port ranges do not fit into the tables for ", sizes.rules,
                        " rules; raise 'tables: {rules: …}' in viscum.yaml and restart viscumd")};
}

/// Lets through what either of both does.
vs_filter either(const vs_filter& a, const vs_filter& b) {
    vs_filter out = a;
    out.families &= b.families;
    for (std::size_t i = 0; i < std::size(out.bits); ++i) {
        out.bits[i] |= b.bits[i];
    }
    return out;
}

template <class K>
Entries<K> read_entries(const BpfMap<K, std::uint32_t>& map, std::size_t limit) {
    Entries<K> out;
    for (const auto& [key, value] : map.entries(limit)) {
        out[key] = value;
    }
    return out;
}

template <class K>
Status add_missing(const BpfMap<K, std::uint32_t>& map, const Entries<K>& present, const Entries<K>& wanted,
                   int* writes) {
    for (const auto& [key, value] : wanted) {
        const auto found = present.find(key);
        if (found != present.end() && found->second == value) {
            continue;
        }
        ++*writes;
        if (auto status = map.set(key, value); !status) {
            return status;
        }
    }
    return {};
}

template <class K>
Status remove_others(const BpfMap<K, std::uint32_t>& map, const Entries<K>& present, const Entries<K>& wanted,
                     int* writes) {
    for (const auto& [key, value] : present) {
        if (wanted.contains(key)) {
            continue;
        }
        ++*writes;
        if (auto status = map.erase(key); !status) {
            return status;
        }
    }
    return {};
}

}  // namespace

void RuleTable::read_index() {
    config_ = datapath_->config.find(0).value_or(vs_config{});
    index_.exact = read_entries(datapath_->exact, exact_capacity(datapath_->sizes));
    index_.prefix = read_entries(datapath_->prefix, prefix_capacity(datapath_->sizes));
    index_.port = read_entries(datapath_->port, port_capacity(datapath_->sizes));
    index_.flags = config_.flags;
    index_.filter = datapath_->filter.find(0).value_or(vs_filter{});
}

RuleTable RuleTable::adopt(const Datapath& datapath) {
    RuleTable table(datapath);
    for (const auto& [index, claim] : datapath.claims.entries(datapath.sizes.rules)) {
        if (claim.owner != 0) {
            table.indexes_[from_claim(claim)] = index;
            table.owners_[index] = claim.owner;
        }
    }
    table.read_index();
    return table;
}

std::optional<std::uint32_t> RuleTable::index_of(const RuleKey& key) const {
    const auto found = indexes_.find(key);
    return found == indexes_.end() ? std::nullopt : std::optional(found->second);
}

Status RuleTable::put_rule(std::uint32_t index, const Rule& rule, int* writes) {
    const vs_claim claim = abi_claim(rule);
    if (const auto owner = owners_.find(index); owner == owners_.end() || owner->second != claim.owner) {
        if (auto status = clear_counters(*datapath_, index); !status) {
            return status;
        }
        ++*writes;
        if (auto status = datapath_->claims.set(index, claim); !status) {
            return status;
        }
        owners_[index] = claim.owner;
        indexes_[rule.key] = index;
    }
    const vs_rule value = abi_rule(rule);
    auto known = values_.find(index);
    if (known == values_.end()) {
        if (const auto present = datapath_->rules.find(index)) {
            known = values_.emplace(index, *present).first;
        }
    }
    if (known != values_.end() && same_bytes(known->second, value)) {
        return {};
    }
    ++*writes;
    auto status = datapath_->rules.set(index, value);
    values_.erase(index);
    if (status) {
        values_.emplace(index, value);
    }
    return status;
}

Status RuleTable::apply_index(const RuleIndex& wanted, int* writes) {
    auto status = write_index(wanted, writes);
    if (status) {
        index_ = wanted;
    } else {
        read_index();  // the next attempt starts from what stands there
    }
    return status;
}

Status RuleTable::write_index(const RuleIndex& wanted, int* writes) {
    const auto set_flags = [&](std::uint32_t flags) -> Status {
        if (config_.flags == flags) {
            return {};
        }
        config_.flags = flags;
        ++*writes;
        return datapath_->config.set(0, config_);
    };
    const auto set_filter = [&](const vs_filter& filter) -> Status {
        if (same_bytes(index_.filter, filter)) {
            return {};
        }
        index_.filter = filter;
        ++*writes;
        return datapath_->filter.set(0, filter);
    };
    // First all that is new, the innermost look-up first; then what is old, the outermost first. The filter is written
    // in place as programs read it: what it lets through only grows in the first write, and only shrinks in the last.
    if (auto status = add_missing(datapath_->port, index_.port, wanted.port, writes); !status) {
        return status;
    }
    if (auto status = add_missing(datapath_->prefix, index_.prefix, wanted.prefix, writes); !status) {
        return status;
    }
    if (auto status = add_missing(datapath_->exact, index_.exact, wanted.exact, writes); !status) {
        return status;
    }
    if (auto status = set_flags(config_.flags | wanted.flags); !status) {
        return status;
    }
    if (auto status = set_filter(either(index_.filter, wanted.filter)); !status) {
        return status;
    }
    if (auto status = remove_others(datapath_->exact, index_.exact, wanted.exact, writes); !status) {
        return status;
    }
    if (auto status = remove_others(datapath_->prefix, index_.prefix, wanted.prefix, writes); !status) {
        return status;
    }
    if (auto status = remove_others(datapath_->port, index_.port, wanted.port, writes); !status) {
        return status;
    }
    if (auto status = set_filter(wanted.filter); !status) {
        return status;
    }
    return set_flags(wanted.flags);
}

/// Old and new entries stand side by side during a change.
Status RuleTable::check_room(const RuleIndex& wanted) const {
    const auto fresh = std::count_if(wanted.port.begin(), wanted.port.end(),
                                     [this](const auto& entry) { return !index_.port.contains(entry.first); });
    if (index_.port.size() + static_cast<std::size_t>(fresh) > port_capacity(datapath_->sizes)) {
        return no_port_room(datapath_->sizes);
    }
    return {};
}

/// An index for each wanted claim: its own, or one that is free. Nothing where too few are free as long as the rules
/// that go hold theirs: until then they may still be found.
std::optional<std::map<RuleKey, std::uint32_t>> RuleTable::assign(const std::vector<Rule>& wanted) const {
    std::map<RuleKey, std::uint32_t> next;
    std::uint32_t candidate = 0;
    for (const auto& rule : wanted) {
        if (const auto index = index_of(rule.key)) {
            next[rule.key] = *index;
            continue;
        }
        while (owners_.contains(candidate)) {
            ++candidate;
        }
        if (candidate >= datapath_->sizes.rules) {
            return std::nullopt;
        }
        next[rule.key] = candidate++;
    }
    return next;
}

/// For a table too full to hold old and new side by side.
Result<int> RuleTable::remove_then_apply(const std::vector<Rule>& wanted) {
    std::map<RuleKey, std::uint32_t> keys;
    std::vector<Rule> staying;
    for (const auto& rule : wanted) {
        keys[rule.key] = static_cast<std::uint32_t>(keys.size());
        if (index_of(rule.key)) {
            staying.push_back(rule);
        }
    }
    const auto half = port_capacity(datapath_->sizes) / 2;
    if (build_index(keys, half).port.size() > half) {
        return no_port_room(datapath_->sizes);
    }
    auto removed = apply(staying);
    if (!removed) {
        return removed;
    }
    auto added = apply(wanted);
    return added ? Result<int>(*removed + *added) : added;
}

Result<int> RuleTable::apply(const std::vector<Rule>& wanted) {
    if (wanted.size() > datapath_->sizes.rules) {
        return Error{ENOSPC, cat(wanted.size(), " rules do not fit into the table of ", datapath_->sizes.rules,
                                 "; raise 'tables: {rules: …}' in viscum.yaml and restart viscumd")};
    }
    const auto next = assign(wanted);
    if (!next) {
        return remove_then_apply(wanted);
    }
    // Most changes are of what rules admit, not of what they claim.
    const bool same_claims = indexed_ == next;
    RuleIndex index;
    if (!same_claims) {
        index = build_index(*next, port_capacity(datapath_->sizes));
        if (auto room = check_room(index); !room) {
            return std::move(room).error();
        }
        indexed_.reset();  // until all of it stands
    }
    int writes = 0;
    for (const auto& rule : wanted) {
        if (auto status = put_rule(next->at(rule.key), rule, &writes); !status) {
            return std::move(status).error();
        }
    }
    if (same_claims) {
        return writes;
    }
    if (auto status = apply_index(index, &writes); !status) {
        return std::move(status).error();
    }
    if (auto status = remove_rules_but(*next, &writes); !status) {
        return std::move(status).error();
    }
    indexed_ = *next;
    return writes;
}

Status RuleTable::remove_rules_but(const std::map<RuleKey, std::uint32_t>& staying, int* writes) {
    std::map<RuleKey, std::uint32_t> gone;
    std::copy_if(indexes_.begin(), indexes_.end(), std::inserter(gone, gone.end()),
                 [&staying](const auto& entry) { return !staying.contains(entry.first); });
    forget_flows(gone);
    for (const auto& [key, index] : gone) {
        ++*writes;
        values_.erase(index);
        if (auto status = datapath_->rules.set(index, vs_rule{}); !status) {
            return status;
        }
        if (auto status = datapath_->claims.set(index, vs_claim{}); !status) {
            return status;
        }
        owners_.erase(index);
        indexes_.erase(key);
    }
    return {};
}

void RuleTable::forget_flows(const std::map<RuleKey, std::uint32_t>& gone) const {
    std::set<std::uint32_t> rules;
    for (const auto& [key, index] : gone) {
        if (key.protocol == IPPROTO_UDP) {  // a TCP flow's entry only says that it was the cloud's
            rules.insert(index);
        }
    }
    if (rules.empty()) {
        return;
    }
    for (const auto& [key, flow] : datapath_->flows.entries(datapath_->sizes.flows)) {
        if (rules.contains(flow.rule)) {
            // One that stays would only be served from where it was served last.
            [[maybe_unused]] const auto status = datapath_->flows.erase(key);
        }
    }
}

Status RuleTable::set_lease(std::optional<BootTime> until) {
    const std::uint64_t value = until ? static_cast<std::uint64_t>(until->count()) : kNoLease;
    if (config_.lease_until == value) {
        return {};
    }
    config_.lease_until = value;
    return datapath_->config.set(0, config_);
}

Status RuleTable::keep_with_cloud(const std::vector<CloudFlow>& flows) {
    for (const auto& flow : flows) {
        vs_flow_key key{};
        key.client = abi_address(flow.client);
        key.service = abi_address(flow.service);
        key.client_port_be = htons(flow.client_port);
        key.service_port_be = htons(flow.service_port);
        key.protocol = IPPROTO_UDP;
        if (datapath_->flows.find(key)) {
            continue;  // the programs know better
        }
        vs_flow value{};
        value.last = static_cast<__u64>(boot_now().count());
        value.rule = kNoRule;
        value.owner = VS_CLOUD;
        if (auto status = datapath_->flows.set(key, value); !status) {
            return status;
        }
    }
    return {};
}

Result<int> RuleTable::set_lan_device(std::uint32_t ifindex, std::optional<std::array<std::uint8_t, 6>> bridge_mac) {
    const auto present = datapath_->lans.find(ifindex);
    if (!bridge_mac) {
        if (!present) {
            return 0;
        }
        if (auto status = datapath_->lans.erase(ifindex); !status) {
            return std::move(status).error();
        }
        return 1;
    }
    vs_lan_device value{};
    std::copy(bridge_mac->begin(), bridge_mac->end(), value.mac);
    if (present && same_bytes(*present, value)) {
        return 0;
    }
    if (auto status = datapath_->lans.set(ifindex, value); !status) {
        return std::move(status).error();
    }
    return 1;
}

}  // namespace viscum
