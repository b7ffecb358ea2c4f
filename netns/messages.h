// SPDX-License-Identifier: GPL-2.0-only
// What one message of the kernel says, apart from the socket by which it came. Pure. A message is whole
// (is_whole of wire.h) and is never read behind its end: one that is too short for what it should hold says nothing.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netns/addr.h"
#include "netns/conntrack.h"
#include "netns/link.h"

struct inet_diag_msg;

namespace viscum {

/// Hands the messages of one datagram that belong to `sequence` to `each`. How the answer ended, once it has;
/// `interrupted` is set where the list changed while it was read.
std::optional<Status> read_answer(unsigned char* bytes, int length, std::uint32_t sequence, bool& interrupted,
                                  const std::function<void(nlmsghdr*)>& each);

/// A link, and what only link.cpp needs to know of it.
struct ObservedLink {
    Link link;
    IfIndex peer{};                             // a veth's: the index of the far end, where that is
    std::optional<std::uint8_t> addr_gen_mode;  // none where the kernel has no IPv6
};
std::optional<ObservedLink> read_link(nlmsghdr* answer);

std::optional<DeviceAddress> read_device_address(nlmsghdr* answer);

/// A route with our mark, by which a service's namespace owns a prefix or sends its replies.
struct OwnRoute {
    bool local = false;  // of type local in the table local; else a unicast route in the table main
    int family = 2;      // AF_INET or AF_INET6
    IpPrefix destination;
    IfIndex device{};
    std::optional<IpAddress> source;
    bool operator==(const OwnRoute&) const = default;
};
std::optional<OwnRoute> read_own_route(nlmsghdr* answer);

/// nullopt: another protocol, a TCP connection at its end, or unreadable.
std::optional<TrackedFlow> read_flow(nlmsghdr* answer, Transport transport);
/// Of a flow whose answers go to where its first packet came from: there. nullopt: it is translated, or unreadable.
std::optional<IpAddress> read_untranslated_source(nlmsghdr* answer);

/// Null where the message is too short.
const inet_diag_msg* read_socket(const nlmsghdr* answer);

/// What stands in the nftables table of a name, as the messages of three dumps tell it.
struct NftStanding {
    explicit NftStanding(std::string table) : name(std::move(table)) {}
    void add_table(nlmsghdr* answer);
    void add_chain(nlmsghdr* answer);
    void add_rule(nlmsghdr* answer);

    std::string name;
    int tables = 0;
    int chains = 0;
    bool good = true;  // nothing in it is other than wanted
    std::vector<std::string> rules;
};

/// The answers to a transaction of `messages` in one datagram: whether the last one is among them. `refused` becomes
/// the first errno, if there is one.
bool read_batch_answers(const char* bytes, int length, std::uint32_t messages, int& refused);

}  // namespace viscum
