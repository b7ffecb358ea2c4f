// SPDX-License-Identifier: GPL-2.0-only
// Messages as no kernel makes them; most were found by tests/fuzz.
#include "netns/messages.h"

#include <doctest/doctest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include <array>
#include <climits>
#include <cstring>
#include <string>

#include "netns/mnl_dump.h"
#include "netns/wire.h"

namespace viscum {
namespace {

constexpr std::uint32_t kSequence = 7;

/// One message in memory of its own, so that the sanitizers see a read behind its end.
struct Datagram {
    Datagram(std::uint16_t type, const void* payload, std::size_t size, std::uint32_t claimed = 0)
        : bytes(NLMSG_HDRLEN + size) {
        nlmsghdr header{};
        header.nlmsg_len = claimed != 0 ? claimed : static_cast<std::uint32_t>(bytes.size());
        header.nlmsg_type = type;
        header.nlmsg_seq = kSequence;
        std::memcpy(bytes.data(), &header, sizeof header);
        if (size > 0) {
            std::memcpy(bytes.data() + NLMSG_HDRLEN, payload, size);
        }
    }
    nlmsghdr* message() { return reinterpret_cast<nlmsghdr*>(bytes.data()); }
    [[nodiscard]] int length() const { return static_cast<int>(bytes.size()); }
    std::vector<char> bytes;
};

std::optional<Status> read(Datagram& datagram) {
    bool interrupted = false;
    return read_answer(reinterpret_cast<unsigned char*>(datagram.bytes.data()), datagram.length(), kSequence,
                       interrupted, {});
}

TEST_CASE("netlink messages: one that is too short for what it should hold says nothing") {
    const std::array<char, 4> few{};
    for (const std::size_t size : {0U, 1U, 4U}) {
        Datagram datagram(RTM_NEWLINK, few.data(), size);
        CHECK_FALSE(read_link(datagram.message()));
        CHECK_FALSE(read_device_address(datagram.message()));
        CHECK_FALSE(read_own_route(datagram.message()));
        CHECK(read_socket(datagram.message()) == nullptr);
    }
    Datagram none(RTM_NEWLINK, nullptr, 0);
    CHECK_FALSE(read_flow(none.message(), Transport::udp));
    CHECK_FALSE(read_untranslated_source(none.message()));
}

TEST_CASE("netlink messages: one that claims more than came is not read") {
    const int code = 0;
    for (const std::uint32_t claimed : {40U, 0x7fffffffU, 0x80000010U, 0xffffffffU}) {
        CAPTURE(claimed);
        Datagram datagram(NLMSG_ERROR, &code, sizeof code, claimed);
        int messages = 0;
        CHECK_FALSE(read_part(datagram.bytes.data(), datagram.length(), kSequence, [&](nlmsghdr*) { ++messages; }));
        CHECK(messages == 0);
        int refused = 0;
        CHECK_FALSE(read_batch_answers(datagram.bytes.data(), datagram.length(), kSequence, refused));
        CHECK_FALSE(read(datagram));
    }
}

TEST_CASE("netlink messages: the end of an answer without its errno is an error") {
    Datagram datagram(NLMSG_ERROR, nullptr, 0);
    const auto end = read(datagram);
    REQUIRE(end);
    CHECK_FALSE(*end);
    const auto part = read_part(datagram.bytes.data(), datagram.length(), kSequence, [](nlmsghdr*) {});
    REQUIRE(part);
    CHECK_FALSE(*part);
}

TEST_CASE("netlink messages: any number is an errno above 0") {
    for (const int code : {-ENODEV, ENODEV, INT_MIN, INT_MAX}) {
        nlmsgerr error{};
        error.error = code;
        Datagram datagram(NLMSG_ERROR, &error, sizeof error);
        const auto end = read(datagram);
        REQUIRE(end);
        REQUIRE_FALSE(*end);
        CHECK(end->error().errno_code > 0);
    }
    CHECK(errno_error("x", -ENODEV) == errno_error("x", ENODEV));
}

TEST_CASE("netlink messages: the kernel's words are not looked for behind a request that does not fit") {
    for (const std::uint32_t length : {0U, 4U, 0xfffffff0U}) {
        nlmsgerr error{};
        error.error = -EINVAL;
        error.msg.nlmsg_len = length;
        Datagram datagram(NLMSG_ERROR, &error, sizeof error);
        datagram.message()->nlmsg_flags = NLM_F_ACK_TLVS;
        const auto end = read(datagram);
        REQUIRE(end);
        REQUIRE_FALSE(*end);
        CHECK(end->error() == Error{EINVAL, "Invalid argument"});
    }
}

/// An attribute with its header and padding.
std::string attribute(int type, std::string_view value) {
    nlattr head{};
    head.nla_len = static_cast<std::uint16_t>(sizeof head + value.size());
    head.nla_type = static_cast<std::uint16_t>(type);
    std::string out(reinterpret_cast<const char*>(&head), sizeof head);
    out += value;
    out.append((4 - out.size() % 4) % 4, '\0');  // NLA_ALIGNTO
    return out;
}

Datagram nft_message(const std::string& attributes) {
    const std::string payload = std::string(sizeof(nfgenmsg), '\0') + attributes;
    return {NFT_MSG_NEWTABLE, payload.data(), payload.size()};
}

/// What a rule of one expression is told as.
std::string told(const std::string& name, const std::string& data) {
    const auto expression = attribute(NFTA_EXPR_NAME, name) + attribute(NFTA_EXPR_DATA, data);
    auto message = nft_message(attribute(NFTA_RULE_TABLE, "t") + attribute(NFTA_RULE_CHAIN, "leave") +
                               attribute(NFTA_RULE_EXPRESSIONS, attribute(NFTA_LIST_ELEM, expression)));
    NftStanding standing("t");
    standing.add_rule(message.message());
    return standing.rules.size() == 1 ? standing.rules.front() : "none";
}

TEST_CASE("netlink messages: nftables' attributes of another size than they should have end nothing") {
    for (const std::string& odd : {std::string(), std::string(1, '\xff'), std::string(64, '\xff')}) {
        NftStanding standing("t");
        auto table = nft_message(attribute(NFTA_TABLE_NAME, "t") + attribute(NFTA_TABLE_FLAGS, odd));
        standing.add_table(table.message());
        CHECK(standing.tables == 1);
        auto chain = nft_message(attribute(NFTA_CHAIN_TABLE, "t") + attribute(NFTA_CHAIN_HOOK, odd));
        standing.add_chain(chain.message());
        CHECK(standing.chains == 1);
        CHECK_FALSE(standing.good);
        auto rule = nft_message(attribute(NFTA_RULE_TABLE, "t") + attribute(NFTA_RULE_EXPRESSIONS, odd));
        standing.add_rule(rule.message());
        CHECK(standing.rules.size() == 1);
    }
}

TEST_CASE("netlink messages: an attribute of nftables that is not there is one of zeros, and no other") {
    const std::string zeros(4, '\0');
    const std::string one("\0\0\0\1", 4);
    CHECK(told("masq", "") == "leave; masq");
    CHECK(told("masq", attribute(NFTA_MASQ_FLAGS, zeros)) == told("masq", ""));
    CHECK(told("masq", attribute(NFTA_MASQ_FLAGS, one)) != told("masq", ""));
    CHECK(told("cmp", attribute(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, one))) !=
          told("cmp", attribute(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, zeros))));
    // Some say that a value is nested, some do not.
    CHECK(told("cmp", attribute(NFTA_CMP_DATA | NLA_F_NESTED, attribute(NFTA_DATA_VALUE, one))) ==
          told("cmp", attribute(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, one))));
}

}  // namespace
}  // namespace viscum
