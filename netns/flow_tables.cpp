// SPDX-License-Identifier: GPL-2.0-only
#include "netns/flow_tables.h"

#include <arpa/inet.h>
#include <libnftnl/common.h>
#include <libnftnl/flowtable.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <memory>

#include "base/text.h"
#include "netns/mnl_dump.h"

namespace viscum {
namespace {

constexpr std::uint32_t kHardware = 1;  // NFT_FLOWTABLE_HW_OFFLOAD, which older headers lack

struct Free {
    void operator()(nftnl_flowtable* table) const { nftnl_flowtable_free(table); }
};

/// What a kernel without nf_tables, or without flow tables, answers.
bool means_none(int code) {
    return code == EPROTONOSUPPORT || code == EOPNOTSUPP || code == EAFNOSUPPORT || code == EINVAL || code == ENOENT;
}

std::string text_of(const nftnl_flowtable* table, std::uint16_t attribute) {
    const char* text = nftnl_flowtable_get_str(table, attribute);
    return text == nullptr ? "" : text;
}

}  // namespace

Result<std::vector<FlowTable>> list_flow_tables() {
    const auto fd = open_netlink(NETLINK_NETFILTER);
    if (!fd) {
        return means_none(fd.error().errno_code) ? Result<std::vector<FlowTable>>(std::vector<FlowTable>())
                                                 : Result<std::vector<FlowTable>>(fd.error());
    }
    alignas(nlmsghdr) std::array<char, 256> bytes{};
    nlmsghdr* const request =
        nftnl_nlmsg_build_hdr(bytes.data(), NFT_MSG_GETFLOWTABLE, NFPROTO_UNSPEC, NLM_F_DUMP, NFT_MSG_GETFLOWTABLE);
    std::vector<FlowTable> tables;
    auto status = dump(fd->get(), request, [&](const nlmsghdr* answer) {
        const std::unique_ptr<nftnl_flowtable, Free> table(nftnl_flowtable_alloc());
        if (table && nftnl_flowtable_nlmsg_parse(answer, table.get()) == 0) {
            tables.push_back(
                {cat(text_of(table.get(), NFTNL_FLOWTABLE_TABLE), " ", text_of(table.get(), NFTNL_FLOWTABLE_NAME)),
                 (nftnl_flowtable_get_u32(table.get(), NFTNL_FLOWTABLE_FLAGS) & kHardware) != 0});
        }
    });
    if (!status && !means_none(status.error().errno_code)) {
        return std::move(status).error().in("cannot list flow tables");
    }
    return tables;
}

}  // namespace viscum
