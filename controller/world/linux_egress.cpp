// SPDX-License-Identifier: GPL-2.0-only
// What services may begin by themselves, as LinuxWorld makes it: the link's entry, the route to its alias, the filter
// of the way back, and one masquerade for all.
#include <algorithm>

#include "base/text.h"
#include "controller/world/linux_world.h"
#include "netns/conntrack.h"
#include "tcprog/attach.h"

namespace viscum {
namespace {

// Each is a message to the kernel, and requests wait meanwhile.
constexpr std::size_t kForgottenAtOnce = 256;

std::vector<IpAddress> aliases_of(const WantedEgress& egress) {
    std::vector<IpAddress> aliases;
    for (const auto& alias : {egress.alias_v4, egress.alias_v6}) {
        if (alias) {
            aliases.push_back(*alias);
        }
    }
    return aliases;
}

/// The preferred source of a family; see WantedBackend.
std::optional<LinkAlias> own_alias(const WantedBackend& wanted, const std::optional<IpAddress>& alias) {
    if (!alias) {
        return std::nullopt;
    }
    const auto owned = std::find_if(wanted.addresses.begin(), wanted.addresses.end(),
                                    [&](const auto& address) { return address.is_v4() == alias->is_v4(); });
    return owned == wanted.addresses.end() ? std::nullopt : std::optional<LinkAlias>({*owned, *alias});
}

LinkEgress entry_of(const WantedBackend& wanted, std::uint32_t nsid, const Mac& mac) {
    const WantedEgress& egress = *wanted.egress;
    LinkEgress entry;
    entry.nsid = nsid;
    entry.mac = mac;
    entry.v4 = own_alias(wanted, egress.alias_v4);
    entry.v6 = own_alias(wanted, egress.alias_v6);
    entry.internet = egress.allowed.internet;
    for (const auto& [owned, alias] : egress.origins) {
        entry.origins.push_back({owned, alias});
    }
    for (const auto& target : egress.allowed.targets) {
        const std::uint16_t port = target.ports.is_single() ? target.ports.first : std::uint16_t{0};
        entry.targets.push_back({target.prefix, port, static_cast<std::uint8_t>(target.protocol)});
    }
    return entry;
}

}  // namespace

Status LinuxWorld::set_egress(const BackendKey& key, Backend& backend, const WantedBackend& wanted) {
    const std::uint32_t device = number(backend.link);
    if (!wanted.egress) {
        const auto written = links_.apply(device, std::nullopt);
        if (!written) {
            return written.error();
        }
        backend.actual.egress.reset();
        return detach_filter(device, filter_handle_, Direction::egress);
    }
    // The way back is guarded before there is one.
    if (const auto attached = attach_filter(device, filter_handle_, datapath_->vs_return, Direction::egress);
        !attached) {
        return attached.error();
    }
    const auto written = links_.apply(device, entry_of(wanted, backend.nsid, service_mac(instance_.name, key.service)));
    if (!written) {
        return written.error();
    }
    for (const auto& alias : aliases_of(*wanted.egress)) {
        if (auto status = add_alias_route(socket_, backend.link, alias); !status) {
            return status;
        }
    }
    backend.actual.egress = wanted.egress;
    return {};
}

Result<bool> LinuxWorld::egress_in_place(const Backend& backend) const {
    auto attached = filter_attached(number(backend.link), filter_handle_, datapath_->vs_return, Direction::egress);
    if (!attached || !*attached) {
        return attached;
    }
    for (const auto& alias : aliases_of(*backend.actual.egress)) {
        auto route = has_alias_route(socket_, backend.link, alias);
        if (!route || !*route) {
            return route;
        }
    }
    return true;
}

Status LinuxWorld::forget_gone_links() {
    for (const std::uint32_t device : links_.links()) {
        const bool ours = std::any_of(backends_.begin(), backends_.end(),
                                      [device](const auto& entry) { return number(entry.second.link) == device; });
        if (ours) {
            continue;
        }
        if (const auto written = links_.apply(device, std::nullopt); !written) {
            return written.error();
        }
    }
    return {};
}

Status LinuxWorld::observe_masquerade() {
    const auto there = has_masquerade(masquerade_);
    // A kernel without nf_tables has no table either.
    if (!there && there.error().errno_code != EOPNOTSUPP) {
        return there.error();
    }
    masquerade_there_ = there && *there;
    return masquerade_there_ ? open_nft_watch() : Status{};
}

Status LinuxWorld::open_nft_watch() {
    if (nft_watch_) {
        return {};
    }
    auto watch = NftWatch::open();
    if (!watch) {
        return std::move(watch).error();
    }
    nft_watch_ = std::move(*watch);
    return {};
}

Status LinuxWorld::make_masquerade() {
    if (auto status = open_nft_watch(); !status) {
        return status;
    }
    if (auto status = viscum::make_masquerade(masquerade_); !status) {
        return status;
    }
    // Our own writes are no news; another tool's may be among them.
    nft_watch_->drain();
    untranslated_ = true;
    return observe_masquerade();
}

/// What cannot be forgotten now is tried again with the next look.
void LinuxWorld::forget_untranslated() {
    if (untranslated_ && masquerade_there_) {
        const auto all = forget_untranslated_flows({masquerade_.v4, masquerade_.v6}, kForgottenAtOnce);
        untranslated_ = !all || !*all;
    }
}

Status LinuxWorld::remove_masquerade() {
    if (auto status = viscum::remove_masquerade(masquerade_.table); !status) {
        return status;
    }
    masquerade_there_ = false;
    return {};
}

std::vector<std::pair<std::string, std::uint64_t>> LinuxWorld::egress_counters(const BackendKey& key) {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    const auto found = backends_.find(key);
    if (found == backends_.end() || !found->second.actual.egress) {
        return out;
    }
    const LinkCounters counted = links_.counters(number(found->second.link));
    for (const auto& [name, packets] : {std::pair("out", counted.out), std::pair("in", counted.in)}) {
        if (packets != 0) {
            out.emplace_back(name, packets);
        }
    }
    out.insert(out.end(), counted.refused.begin(), counted.refused.end());
    return out;
}

}  // namespace viscum
