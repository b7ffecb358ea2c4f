// SPDX-License-Identifier: GPL-2.0-only
#include "netns/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/msg.h>

#include <algorithm>

#include "base/file.h"
#include "netns/messages.h"
#include "netns/mnl_dump.h"
#include "netns/wire.h"

namespace viscum {
namespace {

// The bits of CTA_FILTER_ORIG_FLAGS, which no UAPI header has (net/netfilter/nf_internals.h, kernel 5.8).
constexpr std::uint32_t kFilterDestination = 1 << 1;
constexpr std::uint32_t kFilterProtocol = 1 << 3;

/// Asks for flows of one protocol only, and to one IPv4 destination only where it is given: a router tracks tens of
/// thousands. Kernels before 5.8 ignore the filter and answer with everything. By IPv6 address it is the wrong way
/// round: such a filter keeps what does not match (ctnetlink_filter_match_tuple, seen in 6.18).
void put_filter(nlmsghdr* request, Transport transport, const IpAddress* destination) {
    nlattr* const tuple = mnl_attr_nest_start(request, CTA_TUPLE_ORIG);
    if (destination != nullptr) {
        nlattr* const ip = mnl_attr_nest_start(request, CTA_TUPLE_IP);
        mnl_attr_put(request, CTA_IP_V4_DST, 4, destination->wire());
        mnl_attr_nest_end(request, ip);
    }
    nlattr* const protocol = mnl_attr_nest_start(request, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(request, CTA_PROTO_NUM, static_cast<std::uint8_t>(transport));
    mnl_attr_nest_end(request, protocol);
    mnl_attr_nest_end(request, tuple);
    nlattr* const filter = mnl_attr_nest_start(request, CTA_FILTER);
    mnl_attr_put_u32(request, CTA_FILTER_ORIG_FLAGS,
                     kFilterProtocol | (destination != nullptr ? kFilterDestination : 0));
    mnl_attr_nest_end(request, filter);
}

/// A dump walks the whole table, which all namespaces share, and loads the module where there is none: not for nothing.
bool tracks_anything() {
    const auto count = read_file("/proc/sys/net/netfilter/nf_conntrack_count", 64);
    return count && *count != "0\n";
}

bool any_contains(const std::vector<IpPrefix>& prefixes, const IpAddress& address) {
    return std::ranges::any_of(prefixes, [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

/// What a kernel without the netlink interface of connection tracking answers.
bool means_none(int code) {
    return code == EPROTONOSUPPORT || code == EOPNOTSUPP || code == EINVAL;
}

/// The beginning of a request; `bytes` holds it.
nlmsghdr* begin_request(char* bytes, std::uint16_t type, int flags, int family) {
    nlmsghdr* const request = mnl_nlmsg_put_header(bytes);
    request->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
    request->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    request->nlmsg_seq = static_cast<std::uint32_t>(family);
    auto* const header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
    header->nfgen_family = static_cast<std::uint8_t>(family);
    header->version = NFNETLINK_V0;
    return request;
}

/// Adds the flows to `destinations`, all of `family`.
Status add_flows(int fd, int family, Transport transport, const std::vector<IpPrefix>& destinations, std::size_t limit,
                 std::vector<TrackedFlow>& flows) {
    alignas(nlmsghdr) std::array<char, 256> bytes{};
    nlmsghdr* const request = begin_request(bytes.data(), IPCTNL_MSG_CT_GET, NLM_F_DUMP, family);
    const bool one = family == AF_INET && destinations.size() == 1 && destinations.front().is_single();
    put_filter(request, transport, one ? &destinations.front().address : nullptr);
    return dump(fd, request, [&](nlmsghdr* answer) {
        const auto flow = read_flow(answer, transport);
        if (flow && flows.size() < limit && any_contains(destinations, flow->destination)) {
            flows.push_back(*flow);
        }
    });
}

/// The request that ends the tracking of the flow which `answer` tells of, and of no later one of the same ports.
std::vector<char> removal_of(nlmsghdr* answer) {
    std::vector<char> bytes(256);
    const int family = fixed_part<nfgenmsg>(answer)->nfgen_family;
    nlmsghdr* const request = begin_request(bytes.data(), IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family);
    for (const int type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID}) {
        if (const nlattr* const attribute = nlmsg_find_attr(answer, sizeof(nfgenmsg), type)) {
            mnl_attr_put_check(request, bytes.size(), attribute->nla_type, static_cast<std::size_t>(nla_len(attribute)),
                               nla_data(attribute));
        }
    }
    return bytes;
}

/// ENOENT: it has ended by itself.
Status send_removal(int fd, std::vector<char>& bytes) {
    auto status = dump(fd, reinterpret_cast<nlmsghdr*>(bytes.data()), [](nlmsghdr*) {});
    return status || status.error().errno_code == ENOENT ? Status() : status;
}

/// Lowers `limit` by each that was forgotten.
Status forget_of_family(int fd, int family, const std::vector<IpPrefix>& sources, std::size_t& limit) {
    alignas(nlmsghdr) std::array<char, 256> bytes{};
    std::vector<std::vector<char>> removals;
    auto status = dump(fd, begin_request(bytes.data(), IPCTNL_MSG_CT_GET, NLM_F_DUMP, family), [&](nlmsghdr* answer) {
        const auto source = read_untranslated_source(answer);
        if (source && removals.size() < limit && any_contains(sources, *source)) {
            removals.push_back(removal_of(answer));
        }
    });
    limit -= removals.size();
    for (std::size_t next = 0; status && next < removals.size(); ++next) {
        status = send_removal(fd, removals[next]);
    }
    return status;
}

/// Null where the answer is no flow.
const nlattr* tuple_of(nlmsghdr* answer, int type) {
    return fixed_part<nfgenmsg>(answer) == nullptr ? nullptr : nlmsg_find_attr(answer, sizeof(nfgenmsg), type);
}

enum class Direction { source, destination };
/// An address of a tuple, which may be null.
std::optional<IpAddress> read_end(nlmsghdr* answer, const nlattr* tuple, Direction which) {
    const nlattr* const ip = nested(tuple, CTA_TUPLE_IP);
    if (ip == nullptr) {
        return std::nullopt;
    }
    const int family = fixed_part<nfgenmsg>(answer)->nfgen_family;
    const bool from = which == Direction::source;
    const int type =
        family == AF_INET ? (from ? CTA_IP_V4_SRC : CTA_IP_V4_DST) : (from ? CTA_IP_V6_SRC : CTA_IP_V6_DST);
    return read_address(family, nested(ip, type));
}

/// A TCP connection that both sides have closed, or that was reset.
bool ends(nlmsghdr* answer) {
    const nlattr* const tcp = nested(nlmsg_find_attr(answer, sizeof(nfgenmsg), CTA_PROTOINFO), CTA_PROTOINFO_TCP);
    const auto state = read_value<std::uint8_t>(nested(tcp, CTA_PROTOINFO_TCP_STATE));
    return state && *state >= TCP_CONNTRACK_LAST_ACK && *state <= TCP_CONNTRACK_CLOSE;
}

}  // namespace

std::optional<IpAddress> read_untranslated_source(nlmsghdr* answer) {
    const auto source = read_end(answer, tuple_of(answer, CTA_TUPLE_ORIG), Direction::source);
    const auto answered = read_end(answer, tuple_of(answer, CTA_TUPLE_REPLY), Direction::destination);
    return source == answered ? source : std::nullopt;
}

std::optional<TrackedFlow> read_flow(nlmsghdr* answer, Transport transport) {
    const nlattr* const tuple = tuple_of(answer, CTA_TUPLE_ORIG);
    const nlattr* const protocol = nested(tuple, CTA_TUPLE_PROTO);
    const auto source = read_end(answer, tuple, Direction::source);
    const auto destination = read_end(answer, tuple, Direction::destination);
    const auto source_port = read_value<std::uint16_t>(nested(protocol, CTA_PROTO_SRC_PORT));
    const auto destination_port = read_value<std::uint16_t>(nested(protocol, CTA_PROTO_DST_PORT));
    const bool meant =
        read_value<std::uint8_t>(nested(protocol, CTA_PROTO_NUM)) == static_cast<std::uint8_t>(transport);
    if (!meant || ends(answer) || !source || !destination || !source_port || !destination_port) {
        return std::nullopt;
    }
    const auto status = read_value<std::uint32_t>(nlmsg_find_attr(answer, sizeof(nfgenmsg), CTA_STATUS));
    const bool answered = status && (ntohl(*status) & IPS_SEEN_REPLY) != 0;
    return TrackedFlow{*source, *destination, ntohs(*source_port), ntohs(*destination_port), answered};
}

Result<std::vector<TrackedFlow>> tracked_flows(Transport transport, const std::vector<IpPrefix>& destinations,
                                               std::size_t limit) {
    std::vector<TrackedFlow> flows;
    if (!tracks_anything()) {
        return flows;
    }
    auto fd = open_netlink(NETLINK_NETFILTER);
    Status status = fd ? Status() : Status(fd.error());
    for (const int family : {AF_INET, AF_INET6}) {
        std::vector<IpPrefix> of_family;
        std::copy_if(destinations.begin(), destinations.end(), std::back_inserter(of_family),
                     [&](const IpPrefix& prefix) { return prefix.address.is_v4() == (family == AF_INET); });
        if (status && !of_family.empty()) {
            status = add_flows(fd->get(), family, transport, of_family, limit, flows);
        }
    }
    if (!status && !means_none(status.error().errno_code)) {
        return std::move(status).error().in("cannot list tracked flows");
    }
    return flows;
}

Result<bool> forget_untranslated_flows(const std::vector<IpPrefix>& sources, std::size_t limit) {
    if (!tracks_anything()) {
        return true;
    }
    auto fd = open_netlink(NETLINK_NETFILTER);
    Status status = fd ? Status() : Status(fd.error());
    for (const int family : {AF_INET, AF_INET6}) {
        if (status) {
            status = forget_of_family(fd->get(), family, sources, limit);
        }
    }
    if (!status && !means_none(status.error().errno_code)) {
        return std::move(status).error().in("cannot forget tracked flows");
    }
    return limit > 0;
}

}  // namespace viscum
