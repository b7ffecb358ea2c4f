// SPDX-License-Identifier: GPL-2.0-only
#include "netns/link.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include <cstring>

#include "base/text.h"
#include "netns/messages.h"
#include "netns/wire.h"

namespace viscum {
namespace {

using Observed = ObservedLink;

/// Without the counters a link is a third as long.
NlMessage get_link(int flags, IfIndex index = {}) {
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    NlMessage message(RTM_GETLINK, flags, header);
    message.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    return message;
}

Result<Observed> observe(const NlSocket& socket, const NlMessage& question, const std::string& what) {
    std::optional<Observed> seen;
    auto status = socket.request(question, [&](nlmsghdr* answer) { seen = read_link(answer); });
    if (status && !seen) {
        status = Error{EBADMSG, "the kernel's answer is none"};
    }
    if (!status) {
        return std::move(status).error().in(cat("cannot find link ", what));
    }
    return *std::move(seen);
}

Result<Observed> observe_link(const NlSocket& socket, const std::string& name) {
    auto question = get_link(0);
    question.put_string(IFLA_IFNAME, name);
    return observe(socket, question, cat("'", name, "'"));
}

NlMessage set_link(IfIndex index, unsigned flags, unsigned changed) {
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    header.ifi_flags = flags;
    header.ifi_change = changed;
    return {RTM_SETLINK, 0, header};
}

Status set_up(const NlSocket& socket, const Link& link) {
    if (link.up) {
        return {};
    }
    return socket.request(set_link(link.index, IFF_UP, IFF_UP));
}

/// Brings one end of a pair to what it shall be; it goes up last, so that no link-local address is ever made.
Status settle(const NlSocket& socket, const Observed& is, std::uint32_t mtu, const Mac& mac, bool arp) {
    const bool generates = is.addr_gen_mode.value_or(IN6_ADDR_GEN_MODE_NONE) != IN6_ADDR_GEN_MODE_NONE;
    if (generates || is.link.arp != arp || is.link.mtu != mtu || is.link.mac != mac) {
        auto message = set_link(is.link.index, arp ? 0 : IFF_NOARP, IFF_NOARP);
        message.put_u32(IFLA_MTU, mtu);
        if (is.link.mac != mac) {
            message.put(IFLA_ADDRESS, mac.data(), mac.size());
        }
        if (generates) {
            message.nest(IFLA_AF_SPEC, [&] {
                message.nest(AF_INET6, [&] { message.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
            });
        }
        if (auto set = socket.request(message); !set) {
            return set;
        }
    }
    return set_up(socket, is.link);
}

/// One queue each way: the default is one for every processor that could ever be there, and costs memory for each.
void put_one_queue(NlMessage& message) {
    message.put_u32(IFLA_NUM_TX_QUEUES, 1);
    message.put_u32(IFLA_NUM_RX_QUEUES, 1);
}

Status make_pair(const NlSocket& socket, const VethSpec& spec, const NetNs& peer_ns) {
    ifinfomsg near{};
    near.ifi_flags = near.ifi_change = IFF_UP | IFF_NOARP;
    ifinfomsg far{};
    far.ifi_flags = spec.arp ? 0 : IFF_NOARP;
    far.ifi_change = IFF_NOARP;
    NlMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, near);
    message.put_string(IFLA_IFNAME, spec.name);
    message.put_u32(IFLA_MTU, spec.mtu);
    put_one_queue(message);
    message.nest(IFLA_LINKINFO, [&] {
        message.put_string(IFLA_INFO_KIND, "veth");
        message.nest(IFLA_INFO_DATA, [&] {
            message.nest(VETH_INFO_PEER, [&] {
                message.append(&far, sizeof far);
                message.put_string(IFLA_IFNAME, spec.peer_name);
                message.put_u32(IFLA_MTU, spec.mtu);
                message.put(IFLA_ADDRESS, spec.peer_mac.data(), spec.peer_mac.size());
                message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_ns.fd()));
                put_one_queue(message);
            });
        });
    });
    return socket.request(message);
}

/// Success if the far end of `near` is `peer_name` in `peer_ns`.
Status check_far_end(const NlSocket& socket, const Observed& near, const std::string& peer_name, const NetNs& peer_ns) {
    auto id = known_net_ns_id(socket, peer_ns);
    if (!id) {
        return std::move(id).error();
    }
    IfIndex found{};
    auto looked = peer_ns.inside([&]() -> Status {
        auto there = NlSocket::open();
        if (!there) {
            return std::move(there).error();
        }
        auto far = observe_link(*there, peer_name);
        if (!far && far.error().errno_code != ENODEV) {
            return std::move(far).error();
        }
        found = far ? far->link.index : IfIndex{};
        return {};
    });
    if (!looked) {
        return looked;
    }
    // The index counts within its namespace only: both have to fit.
    if (near.link.kind != "veth" || !*id || near.link.peer_nsid != *id || near.peer != found) {
        return Error{EEXIST, "another device has this name"};
    }
    return {};
}

/// The near end of the pair whose far end is `peer_name` in `peer_ns`, whatever another tool has called it.
Result<std::optional<Link>> find_pair(const NlSocket& socket, const std::string& peer_name, const NetNs& peer_ns) {
    const auto links = list_links(socket);
    if (!links) {
        return links.error();
    }
    const auto id = known_net_ns_id(socket, peer_ns);
    if (!id) {
        return id.error();
    }
    for (const Link& link : *links) {
        if (!*id || link.kind != "veth" || link.peer_nsid != *id) {
            continue;
        }
        const auto near = observe_link(socket, link.name);
        if (near && near->link.index == link.index && check_far_end(socket, *near, peer_name, peer_ns)) {
            return std::optional(link);
        }
    }
    return std::optional<Link>();
}

/// Kernels before 6.2 rename a device only while it is down; settle() sets it up again.
Status rename_link(const NlSocket& socket, const Link& link, const std::string& name) {
    auto message = set_link(link.index, 0, 0);
    message.put_string(IFLA_IFNAME, name);
    auto status = socket.request(message);
    if (!status && status.error().errno_code == EBUSY) {
        status = socket.request(set_link(link.index, 0, IFF_UP));
        status = status ? socket.request(message) : std::move(status);
        if (!status) {
            [[maybe_unused]] const auto up = socket.request(set_link(link.index, IFF_UP, IFF_UP));
        }
    }
    return status;
}

}  // namespace

std::optional<ObservedLink> read_link(nlmsghdr* answer) {
    const auto find = [answer](int type) { return nlmsg_find_attr(answer, sizeof(ifinfomsg), type); };
    const auto* info = fixed_part<ifinfomsg>(answer);
    if (info == nullptr) {
        return std::nullopt;
    }
    Observed seen;
    seen.link.index = IfIndex(info->ifi_index);
    seen.link.name = read_text(find(IFLA_IFNAME));
    seen.link.kind = read_text(nested(find(IFLA_LINKINFO), IFLA_INFO_KIND));
    seen.link.master = IfIndex(read_value<std::uint32_t>(find(IFLA_MASTER)).value_or(0));
    seen.link.mac = read_value<Mac>(find(IFLA_ADDRESS)).value_or(Mac{});
    seen.link.mtu = read_value<std::uint32_t>(find(IFLA_MTU)).value_or(0);
    seen.link.up = (info->ifi_flags & IFF_UP) != 0;
    seen.link.arp = (info->ifi_flags & IFF_NOARP) == 0;
    seen.link.ethernet = info->ifi_type == ARPHRD_ETHER;
    if (seen.link.kind == "veth") {
        seen.link.peer_nsid = read_value<std::uint32_t>(find(IFLA_LINK_NETNSID));
        seen.peer = IfIndex(read_value<std::uint32_t>(find(IFLA_LINK)).value_or(0));
    }
    if (seen.link.kind == "vlan" && find(IFLA_LINK_NETNSID) == nullptr) {
        seen.link.lower = IfIndex{read_value<std::uint32_t>(find(IFLA_LINK)).value_or(0)};
    }
    seen.addr_gen_mode =
        read_value<std::uint8_t>(nested(nested(find(IFLA_AF_SPEC), AF_INET6), IFLA_INET6_ADDR_GEN_MODE));
    return seen;
}

Result<std::vector<Link>> list_links(const NlSocket& socket) {
    return observe_whole([&]() -> Result<std::vector<Link>> {
        std::vector<Link> links;
        const auto message = get_link(NLM_F_DUMP);
        const auto status = socket.request(message, [&](nlmsghdr* answer) {
            if (auto seen = read_link(answer)) {
                links.push_back(std::move(seen->link));
            }
        });
        if (!status) {
            return status.error().in("cannot list links");
        }
        return links;
    });
}

Result<Link> find_link(const NlSocket& socket, const std::string& name) {
    auto seen = observe_link(socket, name);
    if (!seen) {
        return std::move(seen).error();
    }
    return std::move(seen->link);
}

Result<Link> find_link(const NlSocket& socket, IfIndex index) {
    auto seen = observe(socket, get_link(0, index), cat("number ", number(index)));
    if (!seen) {
        return std::move(seen).error();
    }
    return std::move(seen->link);
}

Result<Link> create_veth(const NlSocket& socket, const VethSpec& spec, const NetNs& peer_ns) {
    const std::string context = cat("cannot create veth '", spec.name, "'");
    auto near = observe_link(socket, spec.name);
    if (!near && near.error().errno_code != ENODEV) {
        return std::move(near).error().in(context);
    }
    auto status = near ? check_far_end(socket, *near, spec.peer_name, peer_ns) : make_pair(socket, spec, peer_ns);
    if (status && !near) {
        near = observe_link(socket, spec.name);
        status = near ? Status() : Status(near.error());
    }
    if (status) {
        status = settle(socket, *near, spec.mtu, near->link.mac, false);
    }
    if (!status) {
        return std::move(status).error().in(context);
    }
    near->link.up = true;
    near->link.arp = false;
    near->link.mtu = spec.mtu;
    return std::move(near->link);
}

Status keep_link_name(const NlSocket& socket, const VethSpec& spec, const NetNs& peer_ns) {
    const std::string context = cat("cannot call a link '", spec.name, "' again");
    const auto pair = find_pair(socket, spec.peer_name, peer_ns);
    if (!pair) {
        return pair.error().in(context);
    }
    if (!*pair || (*pair)->name == spec.name) {
        return {};
    }
    auto status = rename_link(socket, **pair, spec.name);
    return status ? Status{} : Status{std::move(status).error().in(context)};
}

Status prepare_peer(const NlSocket& inside, const VethSpec& spec) {
    const std::string context = cat("cannot prepare the far end of '", spec.name, "'");
    auto far = observe_link(inside, spec.peer_name);
    if (!far) {
        return std::move(far).error().in(context);
    }
    auto loopback = find_link(inside, "lo");
    if (!loopback) {
        return std::move(loopback).error().in(context);
    }
    auto status = settle(inside, *far, spec.mtu, spec.peer_mac, spec.arp);
    if (status) {
        status = set_up(inside, *loopback);
    }
    if (!status) {
        return std::move(status).error().in(context);
    }
    return {};
}

Status delete_link(const NlSocket& socket, const std::string& name) {
    NlMessage message(RTM_DELLINK, 0, ifinfomsg{});
    message.put_string(IFLA_IFNAME, name);
    auto status = socket.request(message);
    if (!status && status.error().errno_code != ENODEV && status.error().errno_code != ENOENT) {
        return std::move(status).error().in(cat("cannot delete link '", name, "'"));
    }
    return {};
}

Result<std::optional<std::uint32_t>> known_net_ns_id(const NlSocket& socket, const NetNs& ns) {
    NlMessage message(RTM_GETNSID, 0, rtgenmsg{});
    message.put_u32(NETNSA_FD, static_cast<std::uint32_t>(ns.fd()));
    std::optional<std::uint32_t> id;
    auto status = socket.request(message, [&](nlmsghdr* answer) {
        const auto seen = read_value<std::int32_t>(nlmsg_find_attr(answer, sizeof(rtgenmsg), NETNSA_NSID));
        if (seen && *seen != NETNSA_NSID_NOT_ASSIGNED) {
            id = static_cast<std::uint32_t>(*seen);
        }
    });
    if (!status) {
        return std::move(status).error();
    }
    return id;
}

Result<std::uint32_t> net_ns_id(const NlSocket& socket, const NetNs& ns) {
    constexpr std::string_view kContext = "cannot learn a namespace's id";
    auto id = known_net_ns_id(socket, ns);
    if (id && !*id) {
        NlMessage message(RTM_NEWNSID, 0, rtgenmsg{});
        message.put_u32(NETNSA_FD, static_cast<std::uint32_t>(ns.fd()));
        message.put_u32(NETNSA_NSID, static_cast<std::uint32_t>(NETNSA_NSID_NOT_ASSIGNED));  // the kernel chooses
        auto asked = socket.request(message);
        if (!asked && asked.error().errno_code != EEXIST) {  // EEXIST: it got one meanwhile
            return std::move(asked).error().in(kContext);
        }
        id = known_net_ns_id(socket, ns);
    }
    if (!id) {
        return std::move(id).error().in(kContext);
    }
    if (!*id) {
        return errno_error(kContext, ENOENT);
    }
    return **id;
}

}  // namespace viscum
