// SPDX-License-Identifier: GPL-2.0-only
#include "netns/neighbour.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netns/wire.h"

namespace viscum {
namespace {

/// Asked for all, and chosen from here: kernels before 5.0 know no other question.
template <class Each>
Status each_neighbour(const NlSocket& socket, int family, Each each) {
    ndmsg header{};
    header.ndm_family = static_cast<std::uint8_t>(family);
    return socket.request(NlMessage(RTM_GETNEIGH, NLM_F_DUMP, header), [&](nlmsghdr* answer) {
        const auto* entry = fixed_part<ndmsg>(answer);
        if (answer->nlmsg_type == RTM_NEWNEIGH && entry != nullptr && entry->ndm_family == family) {
            each(*entry, [answer](int type) { return nlmsg_find_attr(answer, sizeof(ndmsg), type); });
        }
    });
}

}  // namespace

Result<std::optional<Mac>> neighbour_mac(const NlSocket& socket, IfIndex device, const IpAddress& address) {
    return observe_whole([&]() -> Result<std::optional<Mac>> {
        const int family = address.is_v4() ? AF_INET : AF_INET6;
        std::optional<Mac> mac;
        const auto status = each_neighbour(socket, family, [&](const ndmsg& entry, const auto& find) {
            if (entry.ndm_ifindex == static_cast<int>(number(device)) &&
                read_address(family, find(NDA_DST)) == address) {
                mac = read_value<Mac>(find(NDA_LLADDR));
            }
        });
        return status ? Result<std::optional<Mac>>(mac) : status.error().in("cannot list neighbours");
    });
}

Result<std::vector<BridgePlace>> bridge_places(const NlSocket& socket, const Mac& mac) {
    return observe_whole([&]() -> Result<std::vector<BridgePlace>> {
        std::vector<BridgePlace> places;
        const auto status = each_neighbour(socket, AF_BRIDGE, [&](const ndmsg& entry, const auto& find) {
            // Devices have tables of their own, without a bridge.
            const auto bridge = read_value<std::uint32_t>(find(NDA_MASTER));
            const auto port = static_cast<std::uint32_t>(entry.ndm_ifindex);
            if (bridge && port != *bridge && (entry.ndm_flags & NTF_SELF) == 0 &&
                read_value<Mac>(find(NDA_LLADDR)) == mac) {
                places.push_back(
                    {IfIndex{*bridge}, IfIndex{port}, read_value<std::uint16_t>(find(NDA_VLAN)).value_or(0)});
            }
        });
        return status ? Result<std::vector<BridgePlace>>(std::move(places))
                      : status.error().in("cannot list the MACs that bridges know");
    });
}

}  // namespace viscum
