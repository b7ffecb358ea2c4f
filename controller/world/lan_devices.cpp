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

bool matches(const std::vector<std::string>& patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const auto& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
}

}  // namespace

LanDevices::Device LanDevices::describe(const Link& link, const std::vector<Link>& links) const {
    Device device;
    device.port = {link.index, link.name, link.index, link.mac, false, link.ethernet};
    device.mtu = link.mtu;
    device.wanted = matches(patterns_, link.name);
    const auto bridge = std::find_if(links.begin(), links.end(), [&](const Link& other) {
        return number(link.master) != 0 && other.index == link.master && other.kind == "bridge";
    });
    if (bridge != links.end()) {
        device.wanted = device.wanted || matches(patterns_, bridge->name);
        device.bridge = bridge->name;
        device.port.router = bridge->index;
        device.port.mac = bridge->mac;
        device.port.is_port = true;
    }
    return device;
}

/// Those that `lan:` names, and those that it does not name and that still carry our filter. Every device is asked
/// once, at the start: the viscumd before may have had another `lan:`.
LanDevices::Numbered LanDevices::meant(const std::vector<Link>& links, const std::set<std::string>& own) {
    Numbered seen;
    for (const auto& link : links) {
        if (link.kind == "bridge" || link.name == "lo" || own.contains(link.name)) {
            continue;
        }
        Device device = describe(link, links);
        const auto known = devices_.find(number(link.index));
        const bool carried = known != devices_.end() && known->second.attached;
        if (!device.wanted && ((!first_look_ && !carried) || !grade_.carries(link.index))) {
            continue;
        }
        device.attached = !device.wanted;
        if (known != devices_.end()) {
            device.prepared = known->second.prepared;
            device.problem = known->second.problem;
        }
        seen.emplace(number(link.index), std::move(device));
    }
    return seen;
}

/// A device that `lan:` names.
Status LanDevices::look_at(const NlSocket& socket, Device& device) {
    device.unfit = grade_.unfit(device.port);
    const auto attached = grade_.attached(device.port.device);
    if (!attached) {
        return attached.error();
    }
    device.attached = *attached;
    if (!device.attached) {
        return {};
    }
    device.problem = grade_.shortfall(device.port);
    // For a warning only: where it cannot be seen there is none.
    const auto first = first_filter(socket, device.port.device);
    if (first && *first && (*first)->priority < kFilterPriority) {
        device.problem +=
            cat(device.problem.empty() ? "" : "; ", "another tool's TC filter comes first (", (*first)->kind, ", pref ",
                (*first)->priority, "): what that keeps or drops is not served");
    }
    return grade_.refresh(device.port);
}

Status LanDevices::observe(const NlSocket& socket, const std::vector<Link>& links, const std::set<std::string>& own) {
    Numbered seen = meant(links, own);
    std::vector<LanPort> ports;
    for (const auto& [index, device] : seen) {
        if (device.wanted) {
            ports.push_back(device.port);
        }
    }
    if (auto status = grade_.look(socket, ports); !status) {
        return status;
    }
    for (auto& [index, device] : seen) {
        if (auto status = device.wanted ? look_at(socket, device) : Status{}; !status) {
            return status;
        }
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
    std::set<IfIndex> gone;
    if (first_look_) {
        const auto remembered = grade_.remembered();
        gone.insert(remembered.begin(), remembered.end());
    }
    for (const auto& [index, device] : devices_) {
        gone.insert(device.port.device);
    }
    for (const auto device : gone) {
        if (auto status = seen.contains(number(device)) ? Status{} : grade_.forget(device); !status) {
            return status;
        }
    }
    return {};
}

void LanDevices::add_to(Actual& actual) const {
    for (const auto& [index, device] : devices_) {
        actual.lan[device.port.name] = device.attached;
        if (device.wanted && device.port.ethernet && !device.prepared) {
            actual.unprepared_lan.insert(device.port.name);
        }
    }
}

LanDevices::Numbered::iterator LanDevices::find(const std::string& name) {
    return std::find_if(devices_.begin(), devices_.end(),
                        [&](const auto& entry) { return entry.second.port.name == name; });
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
    Device& device = found->second;
    auto attached = grade_.attach(device.port);
    device.attached = static_cast<bool>(attached);
    device.problem = attached ? "" : attached.error().what;
    return attached;
}

Status LanDevices::detach(const std::string& name) {
    const auto found = find(name);
    if (found == devices_.end()) {
        return {};
    }
    auto status = grade_.detach(found->second.port.device);
    found->second.attached = found->second.attached && !status;
    return status;
}

std::vector<LanDevice> LanDevices::list() const {
    std::vector<LanDevice> out;
    for (const auto& [index, device] : devices_) {
        if (device.wanted) {
            out.push_back({device.port.name, device.bridge, device.attached,
                           device.unfit.empty() ? device.problem : device.unfit, device.unfit.empty()});
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
