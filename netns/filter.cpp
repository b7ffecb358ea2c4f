// SPDX-License-Identifier: GPL-2.0-only
#include "netns/filter.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "netns/wire.h"

namespace viscum {

Result<std::optional<TcFilter>> first_filter(const NlSocket& socket, IfIndex device) {
    tcmsg header{};
    header.tcm_ifindex = static_cast<int>(device);
    header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
    const NlMessage message(RTM_GETTFILTER, NLM_F_DUMP, header);
    std::optional<TcFilter> first;
    const auto status = socket.request(message, [&](nlmsghdr* answer) {
        const auto* seen = fixed_part<tcmsg>(answer);
        if (seen != nullptr && (!first || seen->tcm_info >> 16 < first->priority)) {
            first = TcFilter{seen->tcm_info >> 16, read_text(nlmsg_find_attr(answer, sizeof(tcmsg), TCA_KIND))};
        }
    });
    if (!status && status.error().errno_code != ENODEV) {
        return status.error().in("cannot list TC filters");
    }
    return first;
}

}  // namespace viscum
