// SPDX-License-Identifier: GPL-2.0-only
#include "netns/addr.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "netns/messages.h"
#include "netns/wire.h"

namespace viscum {
namespace {

constexpr IfIndex kLoopback{1};  // in every namespace (LOOPBACK_IFINDEX, include/net/flow.h)

struct Goal {
    std::vector<DeviceAddress> addresses;
    std::vector<OwnRoute> routes;
};

int family_of(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}

std::size_t wire_size(const IpAddress& address) {
    return address.is_v4() ? 4 : 16;
}

/// 0.0.0.0/0 or ::/0.
IpPrefix everything(int family) {
    const std::uint8_t zero[16] = {};
    return {address_from_wire(family, zero), 0};
}

template <class T>
bool has(const std::vector<T>& values, const T& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

template <class T>
void add_once(std::vector<T>& values, const T& value) {
    if (!has(values, value)) {
        values.push_back(value);
    }
}

void add_family(Goal& goal, IfIndex device, const OwnedAddresses& wanted, int family) {
    std::vector<IpAddress> single;
    for (const auto& address : wanted.single) {
        if (family_of(address) == family) {
            add_once(single, address);
        }
    }
    std::vector<IpPrefix> local;
    for (const auto& prefix : wanted.prefixes) {
        if (family_of(prefix.address) == family) {
            add_once(local, prefix);
        }
    }
    if (single.empty() && !local.empty()) {
        // IPv6 takes nothing as a source that stands on no device, and ::1 if nothing does.
        single.push_back(local.front().address);
    }
    for (const auto& address : single) {
        const IpPrefix alone{address, address.width()};
        goal.addresses.push_back({device, address, alone.length});
        if (family == AF_INET6) {
            add_once(local, alone);  // the kernel makes its own route later, from a work queue
        } else {
            std::erase(local, alone);  // the kernel has made it already
        }
    }
    for (const auto& prefix : local) {
        goal.routes.push_back({true, family, prefix, kLoopback, std::nullopt});
    }
    if (!single.empty()) {
        goal.routes.push_back({false, family, everything(family), device, single.front()});
    }
}

Goal make_goal(IfIndex device, const OwnedAddresses& wanted) {
    Goal goal;
    add_family(goal, device, wanted, AF_INET);
    add_family(goal, device, wanted, AF_INET6);
    return goal;
}

Result<std::vector<OwnRoute>> list_own_routes(const NlSocket& socket) {
    return observe_whole([&]() -> Result<std::vector<OwnRoute>> {
        std::vector<OwnRoute> routes;
        for (const int family : {AF_INET, AF_INET6}) {
            rtmsg header{};
            header.rtm_family = static_cast<unsigned char>(family);
            const NlMessage message(RTM_GETROUTE, NLM_F_DUMP, header);
            const auto status = socket.request(message, [&](nlmsghdr* answer) {
                if (const auto route = read_own_route(answer)) {
                    routes.push_back(*route);
                }
            });
            if (!status) {
                return status.error().in("cannot list routes");
            }
        }
        return routes;
    });
}

NlMessage address_message(int type, int flags, const DeviceAddress& entry) {
    ifaddrmsg header{};
    header.ifa_family = static_cast<std::uint8_t>(family_of(entry.address));
    header.ifa_prefixlen = static_cast<std::uint8_t>(entry.length);
    header.ifa_index = static_cast<std::uint32_t>(entry.device);
    NlMessage message(type, flags, header);
    message.put(IFA_LOCAL, entry.address.wire(), wire_size(entry.address));
    message.put(IFA_ADDRESS, entry.address.wire(), wire_size(entry.address));
    return message;
}

Status add_address(const NlSocket& socket, const DeviceAddress& entry) {
    auto message = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, entry);
    if (!entry.address.is_v4()) {
        // Nobody else is on the link. The prefix route would only repeat the local one.
        message.put_u32(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    }
    auto status = socket.request(message);
    if (!status && status.error().errno_code != EEXIST) {
        return std::move(status).error().in(cat("cannot add address ", entry.address.text()));
    }
    return {};
}

Status delete_address(const NlSocket& socket, const DeviceAddress& entry) {
    auto status = socket.request(address_message(RTM_DELADDR, 0, entry));
    if (!status && status.error().errno_code != EADDRNOTAVAIL) {
        return std::move(status).error().in(cat("cannot delete address ", entry.address.text()));
    }
    return {};
}

NlMessage route_message(int type, int flags, const OwnRoute& route) {
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(route.family);
    header.rtm_dst_len = static_cast<unsigned char>(route.destination.length);
    header.rtm_table = route.local ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
    header.rtm_type = route.local ? RTN_LOCAL : RTN_UNICAST;
    header.rtm_protocol = kRouteProtocol;
    if (route.family == AF_INET) {
        header.rtm_scope = route.local ? RT_SCOPE_HOST : RT_SCOPE_LINK;
    }
    NlMessage message(type, flags, header);
    message.put(RTA_DST, route.destination.address.wire(), wire_size(route.destination.address));
    message.put_u32(RTA_OIF, static_cast<std::uint32_t>(route.device));
    return message;
}

Status add_route(const NlSocket& socket, const OwnRoute& route) {
    // The default route changes in place: a reply is never without one. A local route stands beside the kernel's.
    auto message = route_message(RTM_NEWROUTE, NLM_F_CREATE | (route.local ? 0 : NLM_F_REPLACE), route);
    if (route.source) {
        message.put(RTA_PREFSRC, route.source->wire(), wire_size(*route.source));
    }
    auto status = socket.request(message);
    if (!status && status.error().errno_code != EEXIST) {
        return std::move(status).error().in(cat("cannot add route to ", route.destination.text()));
    }
    return {};
}

Status delete_route(const NlSocket& socket, const OwnRoute& route) {
    auto status = socket.request(route_message(RTM_DELROUTE, 0, route));
    if (!status && status.error().errno_code != ESRCH) {
        return std::move(status).error().in(cat("cannot delete route to ", route.destination.text()));
    }
    return {};
}

/// Counts the writes of a change, and stops at the first that fails.
class Writer {
public:
    explicit Writer(const NlSocket& socket) : socket_(socket) {}

    template <class Entry, class Choose>
    void each(const std::vector<Entry>& entries, Status (*write)(const NlSocket&, const Entry&), Choose chosen) {
        for (const auto& entry : entries) {
            if (status_ && chosen(entry)) {
                status_ = write(socket_, entry);
                ++writes_;
            }
        }
    }
    [[nodiscard]] Result<int> result() && {
        if (!status_) {
            return std::move(status_).error();
        }
        return writes_;
    }

private:
    const NlSocket& socket_;
    Status status_;
    int writes_ = 0;
};

}  // namespace

std::optional<DeviceAddress> read_device_address(nlmsghdr* answer) {
    const auto find = [answer](int type) { return nlmsg_find_attr(answer, sizeof(ifaddrmsg), type); };
    const auto* info = fixed_part<ifaddrmsg>(answer);
    if (info == nullptr || (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)) {
        return std::nullopt;
    }
    // IFA_ADDRESS is the other side's where IFA_LOCAL is there too (RFC 3549, 3.1.2.2 leaves that open).
    const nlattr* const local = find(IFA_LOCAL);
    const auto address = read_address(info->ifa_family, local != nullptr ? local : find(IFA_ADDRESS));
    if (!address) {
        return std::nullopt;
    }
    return DeviceAddress{IfIndex(info->ifa_index), *address, info->ifa_prefixlen};
}

std::optional<OwnRoute> read_own_route(nlmsghdr* answer) {
    const auto find = [answer](int type) { return nlmsg_find_attr(answer, sizeof(rtmsg), type); };
    const auto* info = fixed_part<rtmsg>(answer);
    const bool ip = info != nullptr && (info->rtm_family == AF_INET || info->rtm_family == AF_INET6);
    if (!ip || info->rtm_protocol != kRouteProtocol || (info->rtm_flags & RTM_F_CLONED) != 0) {
        return std::nullopt;
    }
    OwnRoute route{info->rtm_type == RTN_LOCAL, info->rtm_family, everything(info->rtm_family), {}, {}};
    if (const auto destination = read_address(info->rtm_family, find(RTA_DST))) {
        route.destination = {*destination, info->rtm_dst_len};
    }
    route.device = IfIndex(read_value<std::uint32_t>(find(RTA_OIF)).value_or(0));
    route.source = read_address(info->rtm_family, find(RTA_PREFSRC));
    return route;
}

Result<std::vector<DeviceAddress>> list_addresses(const NlSocket& socket) {
    return observe_whole([&]() -> Result<std::vector<DeviceAddress>> {
        std::vector<DeviceAddress> addresses;
        const NlMessage message(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
        const auto status = socket.request(message, [&](nlmsghdr* answer) {
            if (const auto address = read_device_address(answer)) {
                addresses.push_back(*address);
            }
        });
        if (!status) {
            return status.error().in("cannot list addresses");
        }
        return addresses;
    });
}

Result<int> apply_addresses(const NlSocket& inside, IfIndex device, const OwnedAddresses& wanted) {
    auto addresses = list_addresses(inside);
    if (!addresses) {
        return std::move(addresses).error();
    }
    auto routes = list_own_routes(inside);
    if (!routes) {
        return std::move(routes).error();
    }
    const Goal goal = make_goal(device, wanted);
    const auto unwanted = [&](const DeviceAddress& entry) {
        return entry.device == device && !has(goal.addresses, entry);
    };
    // With another prefix length: IPv6 has no room for both.
    const auto in_the_way = [&](const DeviceAddress& entry) {
        return unwanted(entry) && has(goal.addresses, {device, entry.address, entry.address.width()});
    };
    const auto replaced = [&](const OwnRoute& route) {
        return !route.local && std::any_of(goal.routes.begin(), goal.routes.end(), [&](const OwnRoute& other) {
            return !other.local && other.family == route.family;
        });
    };
    Writer writer(inside);
    writer.each(*addresses, delete_address, in_the_way);
    writer.each(goal.addresses, add_address, [&](const auto& entry) { return !has(*addresses, entry); });
    writer.each(goal.routes, add_route, [&](const auto& route) { return !has(*routes, route); });
    writer.each(*routes, delete_route, [&](const auto& route) { return !has(goal.routes, route) && !replaced(route); });
    writer.each(*addresses, delete_address, [&](const auto& entry) { return unwanted(entry) && !in_the_way(entry); });
    return std::move(writer).result();
}

Result<bool> has_alias_route(const NlSocket& socket, IfIndex device, const IpAddress& alias) {
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(family_of(alias));
    header.rtm_dst_len = static_cast<unsigned char>(alias.width());
    header.rtm_flags = RTM_F_FIB_MATCH;  // the entry itself; Linux 4.13
    NlMessage message(RTM_GETROUTE, 0, header);
    message.put(RTA_DST, alias.wire(), wire_size(alias));
    bool found = false;
    const auto status = socket.request(message, [&](nlmsghdr* answer) {
        const auto route = read_own_route(answer);
        found = found || (route && !route->local && route->device == device &&
                          route->destination == IpPrefix{alias, alias.width()});
    });
    if (!status && status.error().errno_code != ENETUNREACH && status.error().errno_code != EHOSTUNREACH) {
        return status.error().in(cat("cannot look for the route to ", alias.text()));
    }
    return found;
}

Status add_alias_route(const NlSocket& socket, IfIndex device, const IpAddress& alias) {
    const auto present = has_alias_route(socket, device, alias);
    if (!present) {
        return present.error();
    }
    return *present ? Status{}
                    : add_route(socket, {false, family_of(alias), {alias, alias.width()}, device, std::nullopt});
}

}  // namespace viscum
