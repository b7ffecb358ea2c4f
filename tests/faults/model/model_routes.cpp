// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/model_routes.h"

#include <algorithm>

#include "tests/bpf/lab.h"

namespace viscum {
namespace {

struct Route {
    const char* prefix;
    std::optional<Device> device;  // none: the router's own, or a broadcast
    bool gateway = false;
};

const std::vector<Route>& lan_routes() {
    // The first address of an IPv6 network is the anycast one of its routers (RFC 4291, 2.6.1).
    static const std::vector<Route> routes{
        {"127.0.0.0/8", {}}, {"10.77.0.0/16", Device::lan},     {"10.77.0.1", {}},      {"10.77.255.255", {}},
        {"::1", {}},         {"2001:db8:77::/64", Device::lan}, {"2001:db8:77::1", {}}, {"2001:db8:77::", {}},
    };
    return routes;
}

const std::vector<Route>& uplink_routes() {
    static const std::vector<Route> routes{{"192.0.2.0/24", Device::uplink},
                                           {"192.0.2.1", {}},
                                           {"192.0.2.255", {}},
                                           {"0.0.0.0/0", Device::uplink, true},
                                           {"198.19.0.1", Device::link},
                                           {"2001:db8:1::/64", Device::uplink},
                                           {"2001:db8:1::1", {}},
                                           {"2001:db8:1::", {}},
                                           {"::/0", Device::uplink, true},
                                           {"fd76:6973:6375:6d::1", Device::link}};
    return routes;
}

const Route* find_route(const World& world, const IpAddress& destination) {
    const Route* best = nullptr;
    int best_length = -1;
    const auto look = [&](const std::vector<Route>& routes) {
        for (const auto& route : routes) {
            const auto prefix = IpPrefix::parse(route.prefix).value();
            if (prefix.address.is_v4() == destination.is_v4() && prefix.contains(destination) &&
                prefix.length > best_length) {
                best = &route;
                best_length = prefix.length;
            }
        }
    };
    look(lan_routes());
    if (world.internet) {
        look(uplink_routes());
    }
    return best;
}

bool is_any_of(const IpAddress& address, const std::vector<std::string>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&address](const std::string& text) {
        const auto prefix = IpPrefix::parse(text).value();
        return prefix.address.is_v4() == address.is_v4() && prefix.contains(address);
    });
}

bool never_leaves(const IpAddress& address) {
    return is_any_of(address, {"ff00::/8", "fe80::/10", "::1"});
}

}  // namespace

std::optional<Way> find_way(const World& world, const IpAddress& source, const IpAddress& destination) {
    const Route* const route = find_route(world, destination);
    if (never_leaves(source) || never_leaves(destination) || route == nullptr || !route->device) {
        return std::nullopt;
    }
    Way out{*route->device, route->gateway, 1500, std::nullopt};
    if (out.device == Device::lan) {
        out.mtu = world.lan_mtu;
        if (is_any_of(destination, {"10.77.0.10", kClient4, "2001:db8:77::10", kClient6})) {
            out.neighbour = kClientMac;
        }
    }
    return out;
}

bool leads_to_internet(const World& world, const IpAddress& destination) {
    const Route* const route = find_route(world, destination);
    return route != nullptr && route->device == Device::uplink && route->gateway;
}

bool is_special(const IpAddress& address) {
    if (address.is_v4()) {
        return is_any_of(address, {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                                   "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"});
    }
    return !is_any_of(address, {"2000::/3"}) || is_any_of(address, {"2002::/16"});
}

}  // namespace viscum
