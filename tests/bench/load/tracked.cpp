// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/load/tracked.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <array>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "netns/mnl_dump.h"

namespace viscum {
namespace {

constexpr std::size_t kLargestFile = 65'536;
constexpr std::size_t kMessage = 512;         // bytes, more than one of ours takes
constexpr std::size_t kBatch = 64 * 1024;     // bytes sent at once
constexpr std::uint32_t kTimeout = 7'200;     // seconds: longer than any run
constexpr std::uint32_t kFirst = 0x0a580001;  // 10.88.0.1

constexpr std::uint32_t kStatus =
    std::uint32_t{IPS_CONFIRMED} | std::uint32_t{IPS_ASSURED} | std::uint32_t{IPS_SEEN_REPLY};

struct End {
    std::uint32_t address_be = 0;
    std::uint16_t port_be = 0;
};

nlmsghdr* begin(char* bytes, int message, int flags) {
    nlmsghdr* const request = mnl_nlmsg_put_header(bytes);
    request->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message);
    request->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    request->nlmsg_seq = 1;
    auto* const header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
    header->nfgen_family = AF_INET;
    header->version = NFNETLINK_V0;
    return request;
}

void put_tuple(nlmsghdr* request, std::uint16_t kind, const End& source, const End& destination) {
    nlattr* const tuple = mnl_attr_nest_start(request, kind);
    nlattr* const ip = mnl_attr_nest_start(request, CTA_TUPLE_IP);
    mnl_attr_put_u32(request, CTA_IP_V4_SRC, source.address_be);
    mnl_attr_put_u32(request, CTA_IP_V4_DST, destination.address_be);
    mnl_attr_nest_end(request, ip);
    nlattr* const protocol = mnl_attr_nest_start(request, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(request, CTA_PROTO_NUM, IPPROTO_TCP);
    mnl_attr_put_u16(request, CTA_PROTO_SRC_PORT, source.port_be);
    mnl_attr_put_u16(request, CTA_PROTO_DST_PORT, destination.port_be);
    mnl_attr_nest_end(request, protocol);
    mnl_attr_nest_end(request, tuple);
}

/// As the kernel has a connection that its prerouting rule has translated.
std::size_t put_connection(char* bytes, const End& client, const End& to, std::uint32_t backend_be) {
    nlmsghdr* const request = begin(bytes, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
    put_tuple(request, CTA_TUPLE_ORIG, client, to);
    put_tuple(request, CTA_TUPLE_REPLY, to, client);
    nlattr* const nat = mnl_attr_nest_start(request, CTA_NAT_DST);
    mnl_attr_put_u32(request, CTA_NAT_V4_MINIP, backend_be);
    mnl_attr_put_u32(request, CTA_NAT_V4_MAXIP, backend_be);
    mnl_attr_nest_end(request, nat);
    mnl_attr_put_u32(request, CTA_STATUS, htonl(kStatus));
    mnl_attr_put_u32(request, CTA_TIMEOUT, htonl(kTimeout));
    nlattr* const info = mnl_attr_nest_start(request, CTA_PROTOINFO);
    nlattr* const tcp = mnl_attr_nest_start(request, CTA_PROTOINFO_TCP);
    mnl_attr_put_u8(request, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
    mnl_attr_nest_end(request, tcp);
    mnl_attr_nest_end(request, info);
    return (request->nlmsg_len + MNL_ALIGNTO - 1) / MNL_ALIGNTO * MNL_ALIGNTO;
}

/// Those that the kernel refuses are missing when they are counted.
Status send_connections(int fd, std::uint32_t count, const End& to, std::uint32_t backend_be) {
    std::vector<char> bytes(kBatch);
    std::size_t used = 0;
    for (std::uint32_t number = 0; number < count; ++number) {
        const End client{htonl(kFirst + number), htons(static_cast<std::uint16_t>(40'000 + number % 20'000))};
        used += put_connection(&bytes[used], client, to, backend_be);
        if (used + kMessage > bytes.size() || number + 1 == count) {
            if (send(fd, bytes.data(), used, 0) < 0) {
                return errno_error("cannot send connections");
            }
            used = 0;
        }
    }
    return {};
}

std::uint32_t wire_of(const IpAddress& address) {
    std::uint32_t value = 0;
    std::memcpy(&value, address.wire(), sizeof value);
    return value;
}

}  // namespace

Result<std::uint64_t> tracked_count(const NetNs& ns) {
    std::uint64_t count = 0;
    const auto read = ns.inside([&count]() -> Status {
        const auto text = read_file("/proc/sys/net/netfilter/nf_conntrack_count", kLargestFile);
        if (!text) {
            return text.error().errno_code == ENOENT ? Status() : Status(text.error());
        }
        count = parse_decimal(text->substr(0, text->find('\n')), UINT64_MAX).value_or(0);
        return {};
    });
    return read ? Result<std::uint64_t>(count) : Result<std::uint64_t>(read.error());
}

Status forget_tracked(const NetNs& ns) {
    const auto count = tracked_count(ns);
    if (!count || *count == 0) {
        return count ? Status() : Status(count.error());
    }
    return ns.inside([]() -> Status {
        const auto fd = open_netlink(NETLINK_NETFILTER);
        if (!fd) {
            return fd.error();
        }
        alignas(nlmsghdr) std::array<char, kMessage> bytes{};
        return dump(fd->get(), begin(bytes.data(), IPCTNL_MSG_CT_DELETE, NLM_F_ACK), [](nlmsghdr*) {});
    });
}

Status add_tracked(const NetNs& ns, std::uint32_t count, const IpAddress& to, const IpAddress& backend) {
    const auto before = tracked_count(ns);
    if (!before) {
        return before.error();
    }
    const auto added = ns.inside([&]() -> Status {
        const auto fd = open_netlink(NETLINK_NETFILTER);
        if (!fd) {
            return fd.error();
        }
        return send_connections(fd->get(), count, {wire_of(to), htons(80)}, wire_of(backend));
    });
    if (!added) {
        return added;
    }
    const auto after = tracked_count(ns);
    if (!after || *after < *before + count) {
        return Error{ENOSPC, cat("only ", after ? *after - *before : 0, " of ", count, " connections are tracked")};
    }
    return {};
}

Result<std::uint64_t> kernel_memory() {
    const auto text = read_file("/proc/meminfo", kLargestFile);
    if (!text) {
        return text.error();
    }
    constexpr std::string_view kName = "SUnreclaim:";
    const std::size_t at = text->find(kName);
    const std::size_t digit = text->find_first_of("0123456789", at);
    if (at == std::string::npos || digit == std::string::npos) {
        return Error{ENOENT, "/proc/meminfo has no SUnreclaim"};
    }
    const auto kib = parse_decimal(text->substr(digit, text->find(' ', digit) - digit), UINT64_MAX);
    return kib.value_or(0) * 1024;
}

}  // namespace viscum
