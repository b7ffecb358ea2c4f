// SPDX-License-Identifier: GPL-2.0-only
#include "classic/u32.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "netns/wire.h"

namespace viscum {
namespace {

constexpr std::uint32_t kReceived = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr std::size_t kMostKeys = 32;
constexpr int kFirstAction = 1;

tcmsg header_of(IfIndex device) {
    tcmsg header{};
    header.tcm_ifindex = static_cast<int>(number(device));
    header.tcm_parent = kReceived;
    return header;
}

/// Priority and protocol.
std::pair<std::uint16_t, std::uint16_t> place_of(const tcmsg& header) {
    return {static_cast<std::uint16_t>(header.tcm_info >> 16),
            ntohs(static_cast<std::uint16_t>(header.tcm_info & 0xffff))};
}

tcmsg header_of(IfIndex device, const U32Filter& filter, std::uint32_t handle) {
    tcmsg header = header_of(device);
    header.tcm_handle = handle;
    header.tcm_info = TC_H_MAKE(std::uint32_t{filter.priority} << 16, htons(filter.protocol));
    return header;
}

/// A tc_u32_sel, whose last member is an array without a size, and its keys.
std::vector<char> selector_of(const U32Filter& filter) {
    std::vector<char> bytes(sizeof(tc_u32_sel) + filter.keys.size() * sizeof(tc_u32_key));
    bytes[offsetof(tc_u32_sel, flags)] = TC_U32_TERMINAL;
    bytes[offsetof(tc_u32_sel, nkeys)] = static_cast<char>(filter.keys.size());
    char* place = bytes.data() + sizeof(tc_u32_sel);
    for (const U32Key& key : filter.keys) {
        const tc_u32_key one{htonl(key.mask), htonl(key.value & key.mask), key.offset, 0};
        std::memcpy(place, &one, sizeof one);
        place += sizeof one;
    }
    return bytes;
}

void put_mirred(NlMessage& message, const U32Filter& filter) {
    const bool redirects = filter.action == U32Action::redirect;
    tc_mirred parameters{};
    parameters.eaction = redirects ? TCA_EGRESS_REDIR : TCA_EGRESS_MIRROR;
    parameters.action = redirects ? TC_ACT_STOLEN : TC_ACT_UNSPEC;
    parameters.ifindex = number(filter.target);
    message.nest(TCA_U32_ACT, [&] {
        message.nest(kFirstAction, [&] {
            message.put_string(TCA_ACT_KIND, "mirred");
            message.nest(TCA_ACT_OPTIONS, [&] { message.put(TCA_MIRRED_PARMS, &parameters, sizeof parameters); });
        });
    });
}

Status add(const NlSocket& socket, IfIndex device, std::uint16_t instance, const U32Filter& filter) {
    NlMessage message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, header_of(device, filter, 0));
    message.put_string(TCA_KIND, "u32");
    message.nest(TCA_OPTIONS, [&] {
        message.put_u32(TCA_U32_FLAGS, TCA_CLS_FLAGS_SKIP_HW);  // mirred to a veth is nothing for a NIC
        message.put_u32(TCA_U32_CLASSID, std::uint32_t{instance} << 16 | filter.mark);
        const auto selector = selector_of(filter);
        message.put(TCA_U32_SEL, selector.data(), selector.size());
        if (filter.action != U32Action::leave) {
            put_mirred(message, filter);
        }
    });
    auto status = socket.request(message);
    return status ? Status{}
                  : Status{std::move(status).error().in(cat("cannot add a TC filter of preference ", filter.priority))};
}

Status remove(const NlSocket& socket, IfIndex device, const StandingFilter& standing) {
    const NlMessage message(RTM_DELTFILTER, 0, header_of(device, standing.filter, standing.handle));
    auto status = socket.request(message);
    const int code = status ? 0 : status.error().errno_code;
    return code == 0 || code == ENOENT || code == ENODEV || code == EINVAL
               ? Status{}
               : Status{std::move(status).error().in("cannot remove a TC filter")};
}

/// A table of filters stays when its last one goes, and no other protocol could use the priority. Others' may be in it.
Status remove_empty(const NlSocket& socket, IfIndex device,
                    const std::set<std::pair<std::uint16_t, std::uint16_t>>& left) {
    std::map<std::pair<std::uint16_t, std::uint16_t>, int> filters;
    const NlMessage all(RTM_GETTFILTER, NLM_F_DUMP, header_of(device));
    const auto listed = socket.request(all, [&](nlmsghdr* answer) {
        if (const auto* header = fixed_part<tcmsg>(answer)) {
            filters[place_of(*header)] += TC_U32_NODE(header->tcm_handle) != 0 ? 1 : 0;
        }
    });
    if (!listed) {
        return {};  // the device is gone, and they with it
    }
    for (const auto& [place, count] : filters) {
        if (count != 0 || !left.contains(place)) {
            continue;
        }
        U32Filter any;
        std::tie(any.priority, any.protocol) = place;
        if (auto status = remove(socket, device, {any, 0, 0, 0}); !status) {
            return status;
        }
    }
    return {};
}

/// nullopt: more than we ever write, or no selector.
std::optional<std::vector<U32Key>> read_keys(const nlattr* selector) {
    const auto count = read_value<std::array<std::uint8_t, sizeof(tc_u32_sel)>>(selector);
    const std::size_t nkeys = count ? (*count)[offsetof(tc_u32_sel, nkeys)] : kMostKeys + 1;
    if (nkeys > kMostKeys ||
        static_cast<std::size_t>(nla_len(selector)) < sizeof(tc_u32_sel) + nkeys * sizeof(tc_u32_key)) {
        return std::nullopt;
    }
    std::vector<U32Key> keys;
    const char* place = static_cast<const char*>(nla_data(selector)) + sizeof(tc_u32_sel);
    for (std::size_t i = 0; i < nkeys; ++i) {
        tc_u32_key one{};
        std::memcpy(&one, place, sizeof one);
        place += sizeof one;
        keys.push_back({one.off, ntohl(one.mask), ntohl(one.val)});
    }
    return keys;
}

/// The action of ours; what is none is another tool's, and told by false.
bool read_action(const nlattr* actions, StandingFilter& into) {
    if (actions == nullptr) {
        return true;
    }
    const nlattr* const first = nested(actions, kFirstAction);
    const auto mirred = read_value<tc_mirred>(nested(nested(first, TCA_ACT_OPTIONS), TCA_MIRRED_PARMS));
    if (read_text(nested(first, TCA_ACT_KIND)) != "mirred" || !mirred) {
        return false;
    }
    into.filter.action = mirred->eaction == TCA_EGRESS_REDIR ? U32Action::redirect : U32Action::mirror;
    into.filter.target = IfIndex{mirred->ifindex};
    const nlattr* const statistics = nested(first, TCA_ACT_STATS);
    if (const auto counted = read_value<gnet_stats_basic>(nested(statistics, TCA_STATS_BASIC))) {
        into.bytes = counted->bytes;
        into.packets = counted->packets;
    }
    return true;
}

std::optional<StandingFilter> read_ours(nlmsghdr* answer, std::uint16_t instance) {
    const auto* header = fixed_part<tcmsg>(answer);
    if (header == nullptr || read_text(nlmsg_find_attr(answer, sizeof(tcmsg), TCA_KIND)) != "u32") {
        return std::nullopt;
    }
    const nlattr* const options = nlmsg_find_attr(answer, sizeof(tcmsg), TCA_OPTIONS);
    const auto class_id = read_value<std::uint32_t>(nested(options, TCA_U32_CLASSID));
    auto keys = read_keys(nested(options, TCA_U32_SEL));
    if (!class_id || *class_id >> 16 != instance || !keys) {
        return std::nullopt;
    }
    StandingFilter standing;
    standing.handle = header->tcm_handle;
    std::tie(standing.filter.priority, standing.filter.protocol) = place_of(*header);
    standing.filter.keys = std::move(*keys);
    standing.filter.mark = static_cast<std::uint16_t>(*class_id & 0xffff);
    return read_action(nested(options, TCA_U32_ACT), standing) ? std::optional(std::move(standing)) : std::nullopt;
}

}  // namespace

std::uint16_t u32_instance(std::string_view instance) {
    const auto hash = static_cast<std::uint16_t>(fnv1a(instance));
    return hash == 0 ? 1 : hash;
}

Result<std::vector<StandingFilter>> list_u32(const NlSocket& socket, IfIndex device, std::uint16_t instance) {
    return observe_whole([&]() -> Result<std::vector<StandingFilter>> {
        std::vector<StandingFilter> found;
        const NlMessage message(RTM_GETTFILTER, NLM_F_DUMP, header_of(device));
        const auto status = socket.request(message, [&](nlmsghdr* answer) {
            if (auto standing = read_ours(answer, instance)) {
                found.push_back(std::move(*standing));
            }
        });
        const int code = status ? 0 : status.error().errno_code;
        if (code != 0 && code != ENODEV && code != EINVAL && code != ENOENT) {  // no device; no clsact
            return status.error().in("cannot list TC filters");
        }
        return found;
    });
}

bool stands(const std::vector<StandingFilter>& standing, const std::vector<U32Filter>& wanted) {
    return standing.size() == wanted.size() &&
           std::all_of(standing.begin(), standing.end(), [&wanted](const StandingFilter& one) {
               return std::find(wanted.begin(), wanted.end(), one.filter) != wanted.end();
           });
}

Result<int> apply_u32(const NlSocket& socket, IfIndex device, std::uint16_t instance,
                      const std::vector<U32Filter>& wanted, U32Order order) {
    auto standing = list_u32(socket, device, instance);
    if (!standing) {
        return std::move(standing).error();
    }
    std::vector<U32Filter> missing;
    for (const U32Filter& filter : wanted) {
        const auto same = std::find_if(standing->begin(), standing->end(),
                                       [&](const StandingFilter& one) { return one.filter == filter; });
        if (same == standing->end()) {
            missing.push_back(filter);
        } else {
            standing->erase(same);  // what is left is not wanted
        }
    }
    Status first_error = missing.empty() ? Status{} : add_clsact(socket, device);
    const auto note = [&first_error](Status status) {
        if (first_error) {
            first_error = std::move(status);
        }
    };
    const auto before = [order](const U32Filter& a, const U32Filter& b) {
        return order == U32Order::lowest_first ? a.priority < b.priority : b.priority < a.priority;
    };
    std::stable_sort(missing.begin(), missing.end(), before);
    std::stable_sort(standing->begin(), standing->end(),
                     [&](const auto& a, const auto& b) { return before(b.filter, a.filter); });
    for (const U32Filter& filter : missing) {
        note(add(socket, device, instance, filter));
    }
    std::set<std::pair<std::uint16_t, std::uint16_t>> left;
    for (const StandingFilter& one : *standing) {
        left.emplace(one.filter.priority, one.filter.protocol);
        note(remove(socket, device, one));
    }
    note(left.empty() ? Status{} : remove_empty(socket, device, left));
    if (!first_error) {
        return std::move(first_error).error();
    }
    return static_cast<int>(missing.size() + standing->size());
}

Status add_clsact(const NlSocket& socket, IfIndex device) {
    tcmsg header{};
    header.tcm_ifindex = static_cast<int>(number(device));
    header.tcm_parent = TC_H_CLSACT;
    header.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    NlMessage message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, header);
    message.put_string(TCA_KIND, "clsact");
    auto status = socket.request(message);
    return status || status.error().errno_code == EEXIST ? Status{} : Status{status.error().in("cannot add clsact")};
}

}  // namespace viscum
