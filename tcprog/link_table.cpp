// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/link_table.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "tcprog/percpu.h"

namespace viscum {
namespace {

constexpr std::uint32_t kAllowed = 1;
constexpr int kMappedBits = 96;
constexpr std::array<const char*, VS_LINK_REASONS> kReasons{"not-allowed", "private",  "no-route",
                                                            "not-owned",   "too-many", "unasked"};

vs_alias abi_alias(const LinkAlias& alias) {
    return {abi_address(alias.owned), abi_address(alias.alias)};
}

bool same_bytes(const vs_link& a, const vs_link& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

/// Whether two entries are of one service's namespace, whatever it may begin.
bool same_service(const vs_link& a, const vs_link& b) {
    return a.nsid == b.nsid && std::memcmp(a.own, b.own, sizeof a.own) == 0;
}

bool of_family(const std::optional<LinkAlias>& alias, bool v4) {
    return !alias || (alias->owned.is_v4() == v4 && alias->alias.is_v4() == v4);
}

Status check(const LinkEgress& wanted) {
    if (wanted.origins.size() > LinkEgress::kMaxOrigins || wanted.targets.size() > LinkEgress::kMaxTargets) {
        return Error{EINVAL, cat("a link takes ", LinkEgress::kMaxOrigins, " origins and ", LinkEgress::kMaxTargets,
                                 " targets, not ", wanted.origins.size(), " and ", wanted.targets.size())};
    }
    const bool one_family = std::all_of(wanted.origins.begin(), wanted.origins.end(), [](const LinkAlias& origin) {
        return origin.owned.is_v4() == origin.alias.is_v4();
    });
    if (!one_family || !of_family(wanted.v4, true) || !of_family(wanted.v6, false)) {
        return Error{EINVAL, "an address and its alias are of two families"};
    }
    return {};
}

std::vector<vs_link_counters> per_cpu() {
    return std::vector<vs_link_counters>(possible_cpus());
}

}  // namespace

vs_link abi_link(const LinkEgress& egress) {
    vs_link out{};
    if (egress.v4) {
        out.own[0] = abi_alias(*egress.v4);
    }
    if (egress.v6) {
        out.own[1] = abi_alias(*egress.v6);
    }
    std::transform(egress.origins.begin(), egress.origins.end(), out.origins, abi_alias);
    out.nsid = egress.nsid;
    out.flags =
        static_cast<__u8>((egress.v4 ? VS_LINK_V4 : 0) | (egress.v6 ? VS_LINK_V6 : 0) |
                          (egress.internet ? VS_LINK_INTERNET : 0) | (egress.targets.empty() ? 0 : VS_LINK_TARGETS));
    out.origin_count = static_cast<__u8>(egress.origins.size());
    std::copy(egress.mac.begin(), egress.mac.end(), out.mac);
    return out;
}

vs_egress_key target_key(std::uint32_t ifindex, const LinkTarget& target) {
    const bool v4 = target.prefix.address.is_v4();
    vs_egress_key out{};
    out.prefixlen = static_cast<__u32>(VS_EGRESS_BITS + (v4 ? kMappedBits : 0) + target.prefix.length);
    out.ifindex = ifindex;
    out.protocol = target.protocol;
    out.family = v4 ? 4 : 6;
    out.port_be = htons(target.port);
    out.addr = abi_address(target.prefix.address);
    return out;
}

LinkTable LinkTable::adopt(const Datapath& datapath) {
    LinkTable table(datapath);
    table.read();
    return table;
}

void LinkTable::read() {
    entries_.clear();
    for (const auto& [ifindex, link] : datapath_->links.entries(link_capacity(datapath_->sizes))) {
        entries_[ifindex].link = link;
    }
    for (const auto& [key, value] : datapath_->egress.entries(egress_capacity(datapath_->sizes))) {
        entries_[key.ifindex].targets[key] = value;
    }
    std::uint32_t ifindex = 0;
    bool any = bpf_map_get_next_key(datapath_->link_counters.get(), nullptr, &ifindex) == 0;
    for (std::uint32_t step = 0; any && step < link_capacity(datapath_->sizes); ++step) {
        entries_[ifindex].counted = true;
        std::uint32_t next = 0;
        any = bpf_map_get_next_key(datapath_->link_counters.get(), &ifindex, &next) == 0;
        ifindex = next;
    }
}

/// Old and new targets stand side by side during a change.
Status LinkTable::check_room(const Entry& present, const Entries<vs_egress_key>& targets) const {
    std::size_t links = 0;
    std::size_t held = 0;
    for (const auto& [ifindex, entry] : entries_) {
        links += entry.link || entry.counted ? 1U : 0U;
        held += entry.targets.size();
    }
    const auto fresh = std::count_if(targets.begin(), targets.end(), [&present](const auto& target) {
        return !present.targets.contains(target.first);
    });
    const bool is_new = !present.link && !present.counted;
    if (links + (is_new ? 1 : 0) > link_capacity(datapath_->sizes) ||
        held + static_cast<std::size_t>(fresh) > egress_capacity(datapath_->sizes)) {
        return Error{ENOSPC,
                     cat("the tables for ", datapath_->sizes.rules, " rules hold ", link_capacity(datapath_->sizes),
                         " links with 'egress' and ", egress_capacity(datapath_->sizes),
                         " of their targets; raise 'tables: {rules: …}' in viscum.yaml and restart viscumd")};
    }
    return {};
}

Status LinkTable::clear_counters(std::uint32_t ifindex, Entry& entry, int* writes) {
    const auto zeros = per_cpu();
    ++*writes;
    if (const int error = bpf_map_update_elem(datapath_->link_counters.get(), &ifindex, zeros.data(), BPF_ANY);
        error != 0) {
        return errno_error("cannot clear a link's counters", error);
    }
    entry.counted = true;
    return {};
}

Status LinkTable::remove_targets_but(Entry& entry, const Entries<vs_egress_key>& staying, int* writes) {
    for (auto target = entry.targets.begin(); target != entry.targets.end();) {
        if (staying.contains(target->first)) {
            ++target;
            continue;
        }
        ++*writes;
        if (auto status = datapath_->egress.erase(target->first); !status) {
            return status;
        }
        target = entry.targets.erase(target);
    }
    return {};
}

Status LinkTable::put(std::uint32_t ifindex, Entry& entry, const LinkEgress& wanted, int* writes) {
    Entries<vs_egress_key> targets;
    for (const auto& target : wanted.targets) {
        targets[target_key(ifindex, target)] = kAllowed;
    }
    if (auto room = check_room(entry, targets); !room) {
        return room;
    }
    const vs_link link = abi_link(wanted);
    if (!entry.counted || (entry.link && !same_service(*entry.link, link))) {
        if (auto status = clear_counters(ifindex, entry, writes); !status) {
            return status;
        }
    }
    for (const auto& [key, value] : targets) {
        if (entry.targets.contains(key)) {
            continue;
        }
        ++*writes;
        if (auto status = datapath_->egress.set(key, value); !status) {
            return status;
        }
        entry.targets[key] = value;
    }
    if (!entry.link || !same_bytes(*entry.link, link)) {
        ++*writes;
        if (auto status = datapath_->links.set(ifindex, link); !status) {
            return status;
        }
        entry.link = link;
    }
    return remove_targets_but(entry, targets, writes);
}

Status LinkTable::remove(std::uint32_t ifindex, Entry& entry, int* writes) {
    if (entry.link) {
        ++*writes;
        if (auto status = datapath_->links.erase(ifindex); !status) {
            return status;
        }
        entry.link.reset();
    }
    if (auto status = remove_targets_but(entry, {}, writes); !status) {
        return status;
    }
    if (entry.counted) {
        ++*writes;
        const int error = bpf_map_delete_elem(datapath_->link_counters.get(), &ifindex);
        if (error != 0 && error != -ENOENT) {
            return errno_error("cannot remove a link's counters", error);
        }
        entry.counted = false;
    }
    return {};
}

Result<int> LinkTable::apply(std::uint32_t ifindex, const std::optional<LinkEgress>& wanted) {
    if (wanted) {
        if (auto valid = check(*wanted); !valid) {
            return std::move(valid).error();
        }
    }
    int writes = 0;
    Entry& entry = entries_[ifindex];
    auto status = wanted ? put(ifindex, entry, *wanted, &writes) : remove(ifindex, entry, &writes);
    if (!entry.link && !entry.counted && entry.targets.empty()) {
        entries_.erase(ifindex);
    }
    return status ? Result<int>(writes) : Result<int>(std::move(status).error());
}

std::vector<std::uint32_t> LinkTable::links() const {
    std::vector<std::uint32_t> out;
    std::transform(entries_.begin(), entries_.end(), std::back_inserter(out),
                   [](const auto& entry) { return entry.first; });
    return out;
}

LinkCounters LinkTable::counters(std::uint32_t ifindex) const {
    auto values = per_cpu();
    LinkCounters out;
    out.known = bpf_map_lookup_elem(datapath_->link_counters.get(), &ifindex, values.data()) == 0;
    if (!out.known) {
        values.clear();
    }
    for (const char* reason : kReasons) {
        out.refused.emplace_back(reason, 0);
    }
    for (const auto& one : values) {
        out.out += one.out;
        out.out_bytes += one.out_bytes;
        out.in += one.in;
        out.in_bytes += one.in_bytes;
        for (std::size_t reason = 0; reason < VS_LINK_REASONS; ++reason) {
            out.refused[reason].second += one.refused[reason];
        }
    }
    return out;
}

}  // namespace viscum
