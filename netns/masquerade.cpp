// SPDX-License-Identifier: GPL-2.0-only
#include "netns/masquerade.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sys/time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/text.h"
#include "netns/messages.h"
#include "netns/mnl_dump.h"
#include "netns/wire.h"

namespace viscum {
namespace {

constexpr const char* kChain = "leave";
constexpr std::int32_t kSourceNat = 100;  // srcnat, as nft names it
constexpr int kFamilies = 2;              // a rule each

struct Free {
    void operator()(nftnl_table* table) const { nftnl_table_free(table); }
    void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
    void operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
};
using Table = std::unique_ptr<nftnl_table, Free>;
using Chain = std::unique_ptr<nftnl_chain, Free>;
using Rule = std::unique_ptr<nftnl_rule, Free>;

Table make_table(const std::string& name) {
    Table table(nftnl_table_alloc());
    nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, NFPROTO_INET);
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
    return table;
}

Chain make_chain(const std::string& table) {
    Chain chain(nftnl_chain_alloc());
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, NFPROTO_INET);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, kChain);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "nat");
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, NF_INET_POST_ROUTING);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, kSourceNat);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    return chain;
}

/// Appends an expression to a rule, which owns it.
nftnl_expr* append(const Rule& rule, const char* name) {
    nftnl_expr* const expression = nftnl_expr_alloc(name);
    nftnl_rule_add_expr(rule.get(), expression);
    return expression;
}

void append_equal(const Rule& rule, const void* value, std::uint32_t size) {
    auto* const compare = append(rule, "cmp");
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, value, size);
}

/// Leaves the first `length` bits of an address of `size` bytes in the register.
void append_mask(const Rule& rule, int length, std::uint32_t size) {
    std::array<std::uint8_t, 16> mask{};
    const std::array<std::uint8_t, 16> nothing{};
    for (int bit = 0; bit < length; ++bit) {
        auto& byte = mask.at(static_cast<std::size_t>(bit) / 8);
        byte = static_cast<std::uint8_t>(byte | 0x80 >> bit % 8);
    }
    auto* const bitwise = append(rule, "bitwise");
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, size);
    nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, mask.data(), size);
    nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, nothing.data(), size);
}

/// "ip saddr PREFIX masquerade"
Rule make_rule(const std::string& table, const IpPrefix& prefix) {
    Rule rule(nftnl_rule_alloc());
    nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table.c_str());
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, kChain);

    const bool v4 = prefix.address.is_v4();
    const std::uint8_t family = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    auto* const meta = append(rule, "meta");
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, NFT_META_NFPROTO);
    nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
    append_equal(rule, &family, sizeof family);

    const std::uint32_t size = v4 ? sizeof(in_addr) : sizeof(in6_addr);
    auto* const source = append(rule, "payload");
    nftnl_expr_set_u32(source, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(source, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    nftnl_expr_set_u32(source, NFTNL_EXPR_PAYLOAD_OFFSET, v4 ? offsetof(iphdr, saddr) : offsetof(ip6_hdr, ip6_src));
    nftnl_expr_set_u32(source, NFTNL_EXPR_PAYLOAD_LEN, size);
    if (!prefix.is_single()) {
        append_mask(rule, prefix.length, size);
    }
    append_equal(rule, prefix.address.wire(), size);
    append(rule, "masq");
    return rule;
}

// What stands there is read here, not by libnftnl: it ends the process where an attribute has another size than it
// should.

std::uint32_t read_be32(const nlattr* attribute) {
    return ntohl(read_value<std::uint32_t>(attribute).value_or(0));
}

/// What one expression does: its attributes by their numbers. One that is not there means the same as zeros, which some
/// kernels tell and others do not.
void describe_attributes(const nlattr* parent, bool holds_data, std::string& out) {
    std::map<int, std::string> seen;
    int left = nla_len(parent);
    for (auto* one = static_cast<nlattr*>(nla_data(parent)); nla_ok(one, left) != 0; one = nla_next(one, &left)) {
        // Of those that are compared with: a value within.
        const nlattr* const inner = holds_data ? nested(one, NFTA_DATA_VALUE) : nullptr;
        const auto* const value = inner != nullptr ? inner : one;
        const auto* const bytes = static_cast<const std::uint8_t*>(nla_data(value));
        std::string digits;
        bool something = false;
        for (int at = 0; at < nla_len(value); ++at) {
            digits += hex(bytes[at], 2);
            something = something || bytes[at] != 0;
        }
        if (something) {
            seen[nla_type(one)] += cat(inner != nullptr ? " value " : " ", digits);
        }
    }
    for (const auto& [type, text] : seen) {
        out += cat(' ', type, text);
    }
}

/// The chain and the expressions of a rule, in their order: equal texts are equal rules.
std::string text_of(nlmsghdr* message) {
    std::string out = read_text(nlmsg_find_attr(message, sizeof(nfgenmsg), NFTA_RULE_CHAIN));
    const nlattr* const list = nlmsg_find_attr(message, sizeof(nfgenmsg), NFTA_RULE_EXPRESSIONS);
    int left = list == nullptr ? 0 : nla_len(list);
    for (auto* one = left == 0 ? nullptr : static_cast<nlattr*>(nla_data(list)); left > 0 && nla_ok(one, left) != 0;
         one = nla_next(one, &left)) {
        const std::string name = read_text(nested(one, NFTA_EXPR_NAME));
        out += cat("; ", name);
        if (const nlattr* const data = nested(one, NFTA_EXPR_DATA)) {
            describe_attributes(data, name == "cmp" || name == "bitwise", out);
        }
    }
    return out;
}

/// The same of a rule that is not there yet.
std::string text_of(const Rule& rule) {
    alignas(nlmsghdr) std::array<char, 2048> bytes{};
    nlmsghdr* const message = nftnl_nlmsg_build_hdr(bytes.data(), NFT_MSG_NEWRULE, NFPROTO_INET, 0, 0);
    nftnl_rule_nlmsg_build_payload(message, rule.get());
    return text_of(message);
}

/// Several changes in one transaction.
class Batch {
public:
    Batch() {
        nftnl_batch_begin(next(), sequence_++);
        take();
    }

    /// `type` is one of NFT_MSG_*.
    template <class Payload>
    void add(std::uint16_t type, std::uint16_t flags, Payload payload) {
        nlmsghdr* const message = nftnl_nlmsg_build_hdr(next(), type, NFPROTO_INET, flags | NLM_F_ACK, sequence_++);
        payload(message);
        take();
    }
    /// errno_code is what the kernel says of the first change that it refuses.
    Status commit();

private:
    char* next() { return bytes_.data() + used_; }
    void take() { used_ += reinterpret_cast<const nlmsghdr*>(next())->nlmsg_len; }
    Result<bool> read_answers(int fd, int& refused) const;

    alignas(nlmsghdr) std::array<char, 4096> bytes_{};  // a table, its chain and two rules take about 920
    std::size_t used_ = 0;
    std::uint32_t sequence_ = 0;
};

/// Whether the last answer has come. `refused` becomes the first errno, if there is one.
Result<bool> Batch::read_answers(int fd, int& refused) const {
    alignas(nlmsghdr) std::array<char, 8192> bytes;
    const auto got = recv(fd, bytes.data(), bytes.size(), 0);
    if (got < 0) {
        return errno == EINTR ? Result<bool>(false) : Result<bool>(errno_error("cannot receive"));
    }
    return read_batch_answers(bytes.data(), static_cast<int>(got), sequence_, refused);
}

Status Batch::commit() {
    nftnl_batch_end(next(), sequence_++);
    take();
    auto fd = open_netlink(NETLINK_NETFILTER);
    if (!fd) {
        return std::move(fd).error();
    }
    // The kernel answers within the call; an answer that never comes must not stop the daemon.
    const timeval limit{5, 0};
    setsockopt(fd->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (send(fd->get(), bytes_.data(), used_, 0) < 0) {
        return errno_error("cannot send");
    }
    int refused = 0;
    while (true) {
        const auto all = read_answers(fd->get(), refused);
        if (!all) {
            return all.error();
        }
        if (*all) {
            return refused == 0 ? Status() : Status(errno_error("the kernel refuses", refused));
        }
    }
}

/// Asks for what belongs to a table; `each` gets every answer. The kernel lists all of the family: `each` compares.
template <class Each>
Status list(int fd, std::uint16_t type, Each each) {
    alignas(nlmsghdr) std::array<char, 256> bytes{};
    nlmsghdr* const request = nftnl_nlmsg_build_hdr(bytes.data(), type, NFPROTO_INET, NLM_F_DUMP, type);
    bool changed = false;
    auto status = dump(fd, request, [&](nlmsghdr* answer) {
        changed = changed || (answer->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        each(answer);
    });
    return status && changed ? Status(errno_error("the rules changed", EINTR)) : std::move(status);
}

Result<NftStanding> read_standing(int fd, const std::string& name) {
    NftStanding standing(name);
    const std::initializer_list<std::pair<std::uint16_t, void (NftStanding::*)(nlmsghdr*)>> dumps{
        {NFT_MSG_GETTABLE, &NftStanding::add_table},
        {NFT_MSG_GETCHAIN, &NftStanding::add_chain},
        {NFT_MSG_GETRULE, &NftStanding::add_rule}};
    for (const auto& [type, add] : dumps) {
        const auto add_one = [&, add = add](nlmsghdr* answer) { (standing.*add)(answer); };
        if (auto status = list(fd, type, add_one); !status) {
            return std::move(status).error();
        }
    }
    return standing;
}

/// What a kernel without nf_tables answers.
bool means_none(int code) {
    return code == EPROTONOSUPPORT || code == EOPNOTSUPP || code == EAFNOSUPPORT;
}

}  // namespace

bool read_batch_answers(const char* bytes, int length, std::uint32_t messages, int& refused) {
    for (const auto* answer = reinterpret_cast<const nlmsghdr*>(bytes); is_whole(answer, length);
         answer = mnl_nlmsg_next(answer, &length)) {
        int code = 0;
        if (answer->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(answer) < sizeof code) {
            continue;
        }
        std::memcpy(&code, mnl_nlmsg_get_payload(answer), sizeof code);
        refused = refused == 0 ? code : refused;
        // Message 0 begins the transaction: refused, it is the only answer. The one before the end is the last change.
        if (answer->nlmsg_seq == 0 || answer->nlmsg_seq + 2 == messages) {
            return true;
        }
    }
    return false;
}

void NftStanding::add_table(nlmsghdr* answer) {
    const auto find = [answer](int type) { return nlmsg_find_attr(answer, sizeof(nfgenmsg), type); };
    if (read_text(find(NFTA_TABLE_NAME)) == name) {
        ++tables;
        good = good && read_be32(find(NFTA_TABLE_FLAGS)) == 0;  // not dormant
    }
}

void NftStanding::add_chain(nlmsghdr* answer) {
    const auto find = [answer](int type) { return nlmsg_find_attr(answer, sizeof(nfgenmsg), type); };
    if (read_text(find(NFTA_CHAIN_TABLE)) == name) {
        ++chains;
        const nlattr* const hook = find(NFTA_CHAIN_HOOK);
        good = good && hook != nullptr && read_text(find(NFTA_CHAIN_NAME)) == kChain &&
               read_text(find(NFTA_CHAIN_TYPE)) == "nat" &&
               read_be32(nested(hook, NFTA_HOOK_HOOKNUM)) == NF_INET_POST_ROUTING &&
               read_be32(nested(hook, NFTA_HOOK_PRIORITY)) == kSourceNat &&
               read_be32(find(NFTA_CHAIN_POLICY)) == NF_ACCEPT;
    }
}

void NftStanding::add_rule(nlmsghdr* answer) {
    // More than ours are as wrong as twice as many.
    if (rules.size() <= kFamilies && read_text(nlmsg_find_attr(answer, sizeof(nfgenmsg), NFTA_RULE_TABLE)) == name) {
        rules.push_back(text_of(answer));
    }
}

Result<bool> has_masquerade(const Masquerade& wanted) {
    auto fd = open_netlink(NETLINK_NETFILTER);
    auto standing = fd ? read_standing(fd->get(), wanted.table) : Result<NftStanding>(fd.error());
    for (int tries = 1; tries < 5 && !standing && standing.error().errno_code == EINTR; ++tries) {
        standing = read_standing(fd->get(), wanted.table);
    }
    if (!standing && (means_none(standing.error().errno_code) || standing.error().errno_code == EINVAL)) {
        return false;
    }
    if (!standing) {
        return std::move(standing).error().in(cat("cannot read the nftables table '", wanted.table, "'"));
    }
    const std::vector rules{text_of(make_rule(wanted.table, wanted.v4)), text_of(make_rule(wanted.table, wanted.v6))};
    return standing->good && standing->tables == 1 && standing->chains == 1 && standing->rules == rules;
}

Status make_masquerade(const Masquerade& wanted) {
    const auto table = make_table(wanted.table);
    const auto chain = make_chain(wanted.table);
    const auto put_table = [&](nlmsghdr* message) { nftnl_table_nlmsg_build_payload(message, table.get()); };
    Batch batch;
    // Made if it is not there, so that it can be deleted whether it was or not.
    batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE, put_table);
    batch.add(NFT_MSG_DELTABLE, 0, put_table);
    batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, put_table);
    batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL,
              [&](nlmsghdr* message) { nftnl_chain_nlmsg_build_payload(message, chain.get()); });
    for (const auto& prefix : {wanted.v4, wanted.v6}) {
        const auto rule = make_rule(wanted.table, prefix);
        batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                  [&](nlmsghdr* message) { nftnl_rule_nlmsg_build_payload(message, rule.get()); });
    }
    auto status = batch.commit();
    // ENOENT: no chain of type nat, or no masq. All else that is named was made in this transaction.
    if (!status && (means_none(status.error().errno_code) || status.error().errno_code == ENOENT)) {
        return Error{EOPNOTSUPP, "this kernel has no nf_tables with NAT for both families (nft_masq, nft_chain_nat)"};
    }
    return status ? Status()
                  : Status(std::move(status).error().in(cat("cannot make the nftables table '", wanted.table, "'")));
}

Status remove_masquerade(const std::string& name) {
    const auto table = make_table(name);
    Batch batch;
    batch.add(NFT_MSG_DELTABLE, 0, [&](nlmsghdr* message) { nftnl_table_nlmsg_build_payload(message, table.get()); });
    auto status = batch.commit();
    if (status || status.error().errno_code == ENOENT || means_none(status.error().errno_code)) {
        return {};
    }
    return std::move(status).error().in(cat("cannot remove the nftables table '", name, "'"));
}

Result<NftWatch> NftWatch::open() {
    UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    const int group = NFNLGRP_NFTABLES;
    sockaddr_nl local{};  // a socket without a number hears nothing
    local.nl_family = AF_NETLINK;
    if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0 ||
        setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
        return errno_error("cannot watch nftables");
    }
    return NftWatch(std::move(fd));
}

bool NftWatch::drain() const {
    constexpr int kMost = 4096;  // a rule set that changes without end is looked at in the next turn
    bool news = false;
    for (int count = 0; count < kMost; ++count) {
        char byte = 0;
        const auto got = recv(fd_.get(), &byte, sizeof byte, MSG_TRUNC);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno != ENOBUFS) {
            break;
        }
        news = true;
    }
    return news;
}

}  // namespace viscum
