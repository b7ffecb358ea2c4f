// SPDX-License-Identifier: GPL-2.0-only
#include "netns/route.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/text.h"
#include "netns/wire.h"

namespace viscum {
namespace {

Way::Kind kind_of(unsigned char type) {
    switch (type) {
        case RTN_UNICAST: return Way::Kind::forward;
        case RTN_LOCAL: return Way::Kind::local;
        case RTN_BLACKHOLE:
        case RTN_UNREACHABLE:
        case RTN_PROHIBIT: return Way::Kind::refused;
        default: return Way::Kind::none;
    }
}

/// An IPv4 route goes by a gateway of IPv6, too (RFC 8950): RTA_VIA has its family first.
std::optional<IpAddress> gateway_of(nlmsghdr* answer, int family) {
    if (auto gateway = read_address(family, nlmsg_find_attr(answer, sizeof(rtmsg), RTA_GATEWAY))) {
        return gateway;
    }
    const nlattr* const via = nlmsg_find_attr(answer, sizeof(rtmsg), RTA_VIA);
    if (via == nullptr || nla_len(via) < static_cast<int>(sizeof(rtvia)) + 16) {
        return std::nullopt;
    }
    return address_from_wire(AF_INET6, static_cast<const char*>(nla_data(via)) + offsetof(rtvia, rtvia_addr));
}

/// IPv4 says by an error what IPv6 says by a route's type (fib_props of the kernel's fib_semantics.c). Of a packet that
/// arrives the same errors say also that it is not forwarded, or its source not believed (ip_route_input_slow()).
std::optional<Way::Kind> kind_of_error(int code, bool arrives) {
    if (arrives && (code == EINVAL || code == EHOSTUNREACH || code == EXDEV)) {
        return Way::Kind::dropped;
    }
    switch (code) {
        case ENETUNREACH: return Way::Kind::none;
        case EHOSTUNREACH:
        case EACCES:
        case EINVAL: return Way::Kind::refused;
        default: return std::nullopt;
    }
}

constexpr std::size_t kFlagLimit = 16;

bool is_on(const char* device, const char* name) {
    const auto text = read_file(cat("/proc/sys/net/ipv6/conf/", device, '/', name), kFlagLimit);
    return text && !text->starts_with('0');
}

}  // namespace

bool forwards_ipv6(IfIndex device) {
    char name[IF_NAMESIZE] = {};
    return is_on("all", "forwarding") ||
           (if_indextoname(number(device), name) != nullptr && is_on(name, "force_forwarding"));
}

Result<Way> way_to(const NlSocket& socket, const IpAddress& destination, const std::optional<Arrival>& arrival) {
    const int family = destination.is_v4() ? AF_INET : AF_INET6;
    const std::size_t size = destination.is_v4() ? 4 : 16;
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(family);
    header.rtm_dst_len = static_cast<unsigned char>(destination.width());
    NlMessage message(RTM_GETROUTE, 0, header);
    message.put(RTA_DST, destination.wire(), size);
    if (arrival) {
        message.put(RTA_SRC, arrival->source.wire(), size);
        message.put_u32(RTA_IIF, number(arrival->device));
        if (arrival->protocol != 0) {
            message.put(RTA_IP_PROTO, &arrival->protocol, sizeof arrival->protocol);
        }
        for (const auto& [type, port] :
             {std::pair(RTA_SPORT, arrival->source_port), std::pair(RTA_DPORT, arrival->destination_port)}) {
            if (const std::uint16_t wire = htons(port); wire != 0) {
                message.put(type, &wire, sizeof wire);
            }
        }
    }
    Way way;
    const auto status = socket.request(message, [&](nlmsghdr* answer) {
        const auto* route = fixed_part<rtmsg>(answer);
        if (answer->nlmsg_type != RTM_NEWROUTE || route == nullptr) {
            return;
        }
        way.kind = kind_of(route->rtm_type);
        const auto device = read_value<std::uint32_t>(nlmsg_find_attr(answer, sizeof(rtmsg), RTA_OIF));
        way.device = IfIndex{device.value_or(0)};
        way.gateway = gateway_of(answer, family);
    });
    if (!status) {
        const auto kind = kind_of_error(status.error().errno_code, arrival.has_value());
        if (kind == Way::Kind::dropped) {
            const auto own = way_to(socket, destination);  // no way there, whoever sends it?
            const bool so = own && (own->kind == Way::Kind::refused || own->kind == Way::Kind::none);
            return so ? *own : Way{Way::Kind::dropped};
        }
        return kind ? Result<Way>(Way{*kind})
                    : status.error().in(cat("cannot ask for the way to ", destination.text()));
    }
    return way;
}

}  // namespace viscum
