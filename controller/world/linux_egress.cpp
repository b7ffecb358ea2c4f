// SPDX-License-Identifier: GPL-2.0-only
// What services may begin by themselves, as LinuxWorld makes it: what the grade needs for it, the route to its
// alias, and one masquerade for all.
#include <algorithm>

#include "base/text.h"
#include "controller/world/linux_world.h"
#include "netns/conntrack.h"

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

}  // namespace

Status LinuxWorld::set_egress(const BackendKey& key, Backend& backend, const WantedBackend& wanted) {
    if (auto status = grade_->set_egress(backend.link, key.service, wanted); !status || !wanted.egress) {
        if (status) {
            backend.actual.egress.reset();
        }
        return status;
    }
    for (const auto& alias : aliases_of(*wanted.egress)) {
        if (auto status = add_alias_route(socket_, backend.link.device, alias); !status) {
            return status;
        }
    }
    backend.actual.egress = wanted.egress;
    return {};
}

Result<bool> LinuxWorld::egress_in_place(const Backend& backend) const {
    auto attached = grade_->egress_in_place(backend.link);
    if (!attached || !*attached) {
        return attached;
    }
    for (const auto& alias : aliases_of(*backend.actual.egress)) {
        auto route = has_alias_route(socket_, backend.link.device, alias);
        if (!route || !*route) {
            return route;
        }
    }
    return true;
}

Status LinuxWorld::forget_gone_links() {
    std::set<IfIndex> ours;
    for (const auto& [key, backend] : backends_) {
        ours.insert(backend.link.device);
    }
    return grade_->forget_links_but(ours);
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
    const auto found = backends_.find(key);
    const bool begins = found != backends_.end() && found->second.actual.egress;
    return begins ? grade_->egress_counters(found->second.link.device)
                  : std::vector<std::pair<std::string, std::uint64_t>>();
}

std::optional<EgressBytes> LinuxWorld::egress_bytes(const BackendKey& key) {
    const auto found = backends_.find(key);
    const bool begins = found != backends_.end() && found->second.actual.egress;
    return begins ? grade_->egress_bytes(found->second.link.device) : std::nullopt;
}

}  // namespace viscum
