// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/lan_devices.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/text.h"
#include "netns/filter.h"
#include "tcprog/attach.h"

namespace viscum {
namespace {

constexpr std::uint32_t kDefaultMtu = 1500;
constexpr std::size_t kMaxMarked = 4096;  // of entries in vs_lans, which has fewer

bool matches(const std::vector<std::string>& patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const auto& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
}

}  // namespace

LanDevices::Device LanDevices::describe(const Link& link, const std::vector<Link>& links) const {
    Device device;
    device.name = link.name;
    device.mtu = link.mtu;
    device.ethernet = link.ethernet;
    device.wanted = matches(patterns_, link.name);
    const auto bridge = std::find_if(links.begin(), links.end(), [&](const Link& other) {
        return number(link.master) != 0 && other.index == link.master && other.kind == "bridge";
    });
    if (bridge != links.end()) {
        device.wanted = device.wanted || matches(patterns_, bridge->name);
        device.bridge = bridge->name;
        device.bridge_mac = bridge->mac;
    }
    return device;
}

Status LanDevices::observe(const NlSocket& socket, const std::vector<Link>& links, const std::set<std::string>& own) {
    Numbered seen;
    for (const auto& link : links) {
        if (link.kind == "bridge" || link.name == "lo" || own.contains(link.name)) {
            continue;
        }
        const std::uint32_t index = number(link.index);
        Device device = describe(link, links);
        const auto known = devices_.find(index);
        // Every device is asked once, at the start: the viscumd before may have had another `lan:`.
        const bool ask = device.wanted || first_look_ || (known != devices_.end() && known->second.attached);
        if (!ask) {
            continue;
        }
        const auto attached = filter_attached(index, filter_handle_, datapath_.lan);
        if (!attached) {
            return attached.error();
        }
        device.attached = *attached || (!device.wanted && carries_filter(index, filter_handle_));
        if (!device.wanted && !device.attached) {
            continue;
        }
        if (known != devices_.end()) {
            device.prepared = known->second.prepared;
            device.problem = device.attached ? "" : known->second.problem;
        }
        if (device.attached && device.wanted) {
            // For a warning only: where it cannot be seen there is none.
            const auto first = first_filter(socket, link.index);
            if (first && *first && (*first)->priority < kFilterPriority) {
                device.problem = cat("another tool's TC filter comes first (", (*first)->kind, ", pref ",
                                     (*first)->priority, "): what that keeps or drops is not served");
            }
            const auto marked = rules_.set_lan_device(index, device.bridge_mac);
            if (!marked) {
                return marked.error();
            }
        }
        seen.emplace(index, std::move(device));
    }
    if (auto status = forget_gone(seen); !status) {
        return status;
    }
    devices_ = std::move(seen);
    first_look_ = false;
    return {};
}

/// The map that tells bridges' MACs is small, and numbers are not used twice: what is gone must go.
Status LanDevices::forget_gone(const Numbered& seen) {
    std::set<std::uint32_t> gone;
    if (first_look_) {
        for (const auto& [index, mark] : datapath_.lans.entries(kMaxMarked)) {
            gone.insert(index);
        }
    }
    for (const auto& [index, device] : devices_) {
        gone.insert(index);
    }
    for (const auto index : gone) {
        if (seen.contains(index)) {
            continue;
        }
        if (const auto forgotten = rules_.set_lan_device(index, std::nullopt); !forgotten) {
            return forgotten.error();
        }
    }
    return {};
}

void LanDevices::add_to(Actual& actual) const {
    for (const auto& [index, device] : devices_) {
        actual.lan[device.name] = device.attached;
        if (device.wanted && device.ethernet && !device.prepared) {
            actual.unprepared_lan.insert(device.name);
        }
    }
}

LanDevices::Numbered::iterator LanDevices::find(const std::string& name) {
    return std::find_if(devices_.begin(), devices_.end(), [&](const auto& entry) { return entry.second.name == name; });
}

Status LanDevices::prepare(const std::string& name) {
    const auto found = find(name);
    if (found == devices_.end()) {
        return {};
    }
    found->second.prepared = true;  // a device that cannot have it tells so when the filter is attached
    return add_clsact(found->first);
}

Status LanDevices::attach(const std::string& name) {
    const auto found = find(name);
    if (found == devices_.end()) {
        return {};
    }
    auto& [index, device] = *found;
    if (const auto marked = rules_.set_lan_device(index, device.bridge_mac); !marked) {
        return marked.error();
    }
    const auto attached = attach_filter(index, filter_handle_, datapath_.lan);
    device.attached = static_cast<bool>(attached);
    device.problem = attached ? "" : attached.error().what;
    return attached ? Status{} : Status{attached.error()};
}

Status LanDevices::detach(const std::string& name) {
    const auto found = find(name);
    if (found == devices_.end()) {
        return {};
    }
    auto& [index, device] = *found;
    if (auto status = detach_filter(index, filter_handle_); !status) {
        return status;
    }
    device.attached = false;
    const auto forgotten = rules_.set_lan_device(index, std::nullopt);
    return forgotten ? Status{} : Status{forgotten.error()};
}

std::vector<LanDevice> LanDevices::list() const {
    std::vector<LanDevice> out;
    for (const auto& [index, device] : devices_) {
        if (device.wanted) {
            out.push_back({device.name, device.bridge, device.attached,
                           device.ethernet ? device.problem : "carries no Ethernet frames", device.ethernet});
        }
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.device < b.device; });
    return out;
}

std::uint32_t LanDevices::mtu() const {
    std::uint32_t mtu = 0;
    for (const auto& [index, device] : devices_) {
        if (device.wanted && (mtu == 0 || device.mtu < mtu)) {
            mtu = device.mtu;
        }
    }
    return mtu == 0 ? kDefaultMtu : mtu;
}

}  // namespace viscum
