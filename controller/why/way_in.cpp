// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/way_in.h"

#include <algorithm>
#include <optional>

#include "netns/neighbour.h"

namespace viscum {
namespace {

/// Where the bridge has seen the client, or the router behind which it is. Only one port is an answer.
std::optional<BridgePlace> place_of(const Evidence& evidence, const NlSocket& socket, IfIndex bridge) {
    const auto& way = evidence.client.way;
    const auto mac = neighbour_mac(socket, way.device, way.gateway.value_or(evidence.query.source));
    auto places = mac && *mac ? bridge_places(socket, **mac) : Result<std::vector<BridgePlace>>(Error{ENOENT, ""});
    if (!places) {
        return std::nullopt;
    }
    std::erase_if(*places, [&](const BridgePlace& place) { return place.bridge != bridge; });
    const auto elsewhere = [&](const BridgePlace& place) { return place.port != places->front().port; };
    if (places->empty() || std::ranges::any_of(*places, elsewhere)) {
        return std::nullopt;
    }
    return *std::ranges::max_element(*places, {}, &BridgePlace::vlan);  // one without is of before it told them apart
}

}  // namespace

const Link* link_with(const std::vector<Link>& links, IfIndex index) {
    const auto found = std::ranges::find(links, index, &Link::index);
    return found == links.end() ? nullptr : &*found;
}

const Link* find_way_in(Evidence& evidence, const NlSocket& socket, const std::vector<Link>& links,
                        const std::function<bool(const Link&)>& carries) {
    const Link* const device = link_with(links, evidence.client.way.device);
    if (device == nullptr || carries(*device)) {
        evidence.filter_device = device == nullptr ? "" : device->name;
        return device;
    }
    const Link* const bridge = device->kind == "vlan" ? link_with(links, device->lower) : device;
    if (bridge == nullptr || bridge->kind != "bridge") {
        return nullptr;
    }
    std::vector<const Link*> ports;
    for (const Link& link : links) {
        if (link.master == bridge->index) {
            ports.push_back(&link);
        }
    }
    const auto place = place_of(evidence, socket, bridge->index);
    const Link* const port = place ? link_with(links, place->port) : ports.size() == 1 ? ports.front() : nullptr;
    const auto first = std::ranges::find_if(ports, [&](const Link* link) { return carries(*link); });
    const Link* filtered = first == ports.end() ? nullptr : *first;
    if (port != nullptr) {
        filtered = carries(*port) ? port : nullptr;
    }
    BridgeKnowledge known{.bridge = bridge->name, .port = port == nullptr ? "" : port->name};
    known.vlans = device != bridge || (place && place->vlan != 0);
    for (const Link* const link : ports) {
        if (!carries(*link)) {
            known.without.push_back(link->name);
        }
    }
    evidence.bridge = std::move(known);
    evidence.filter_device = filtered == nullptr ? "" : filtered->name;
    return filtered;
}

}  // namespace viscum
