// SPDX-License-Identifier: GPL-2.0-only
// Others on the network, and what one would need to pretend to be one of them.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/e2e/attacker/attack.h"

namespace viscum {
namespace {

constexpr int kPatience = 1'500;  // ms, for an answer

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
    [[nodiscard]] int family() const { return storage.ss_family; }
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address address_of(const std::string& text, std::uint16_t port) {
    Address out;
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    v4.sin_family = AF_INET;
    v6.sin6_family = AF_INET6;
    v4.sin_port = v6.sin6_port = htons(port);
    if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
        std::memcpy(&out.storage, &v4, sizeof v4);
        out.length = sizeof v4;
    } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
        std::memcpy(&out.storage, &v6, sizeof v6);
        out.length = sizeof v6;
    }
    return out;
}

UniqueFd open_socket(int family, int type, int protocol = 0) {
    return UniqueFd(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

Attempt connect_to(const Peer& peer) {
    const Address to = address_of(peer.address, peer.port);
    const UniqueFd fd = open_socket(to.family(), SOCK_STREAM);
    if (!fd || (connect(fd.get(), to.get(), to.length) < 0 && errno != EINPROGRESS)) {
        return denied(errno);
    }
    pollfd watched{fd.get(), POLLOUT, 0};
    if (poll(&watched, 1, kPatience) <= 0) {
        return denied(ETIMEDOUT);
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error != 0 ? denied(error) : done("connected");
}

Attempt answer_within(int fd) {
    pollfd watched{fd, POLLIN, 0};
    if (poll(&watched, 1, kPatience) <= 0) {
        return denied(ETIMEDOUT);
    }
    std::array<char, 256> buffer{};
    return tried(recv(fd, buffer.data(), buffer.size(), 0), "got an answer");
}

Attempt ask(const Peer& peer) {
    const Address to = address_of(peer.address, peer.port);
    const UniqueFd fd = open_socket(to.family(), SOCK_DGRAM);
    if (!fd || sendto(fd.get(), "x", 1, 0, to.get(), to.length) < 0) {
        return denied(errno);
    }
    return answer_within(fd.get());
}

Attempt ping(const Peer& peer) {
    const Address to = address_of(peer.address, 0);
    const bool v4 = to.family() == AF_INET;
    // For ping_group_range(icmp(7)), which needs no right at all where it is set.
    const UniqueFd fd = open_socket(to.family(), SOCK_DGRAM, v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
    const std::array<unsigned char, 8> echo{static_cast<unsigned char>(v4 ? 8 : 128)};
    if (!fd || sendto(fd.get(), echo.data(), echo.size(), 0, to.get(), to.length) < 0) {
        return denied(errno);
    }
    return answer_within(fd.get());
}

Attempt has_socket(int family, int type, int protocol) {
    const UniqueFd fd = open_socket(family, type, protocol);
    return tried(fd.get(), "has a socket");
}

/// A gratuitous ARP reply that gives the sender's MAC for 10.77.0.1.
Attempt spoof_arp() {
    const UniqueFd fd = open_socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP));
    if (!fd) {
        return denied(errno);
    }
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ETH_P_ARP);
    to.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
    to.sll_halen = 6;
    std::memset(to.sll_addr, 0xff, 6);
    const std::string reply("\0\1\x08\0\6\4\0\2\2\0\0\0\0\x66\x0a\x4d\0\1\xff\xff\xff\xff\xff\xff\x0a\x4d\0\1", 28);
    return tried(sendto(fd.get(), reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
                 "sent it");
}

/// A router advertisement to all nodes of the link.
Attempt spoof_ra() {
    const UniqueFd fd = open_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    if (!fd) {
        return denied(errno);
    }
    Address to = address_of("ff02::1", 0);
    const unsigned link = if_nametoindex("eth0");
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &link, sizeof link);
    const std::array<unsigned char, 16> advertisement{ND_ROUTER_ADVERT, 0, 0, 0, 64, 0, 7, 8};
    return tried(sendto(fd.get(), advertisement.data(), advertisement.size(), 0, to.get(), to.length), "sent it");
}

/// Datagrams from somebody else's address to everybody. That one leaves the socket is nothing yet: whether it arrives,
/// the test sees at the other end by its bytes.
Attempt spoof_source(const Peer& peer, int option, const std::vector<Peer>& everybody) {
    const Address from = address_of(peer.address, peer.port);
    const bool v4 = from.family() == AF_INET;
    const UniqueFd fd = open_socket(from.family(), SOCK_DGRAM);
    const int on = 1;
    if (setsockopt(fd.get(), v4 ? int{SOL_IP} : int{SOL_IPV6}, option, &on, sizeof on) < 0 ||
        bind(fd.get(), from.get(), from.length) < 0) {
        return denied(errno);
    }
    const std::string text = "viscum-spoofed";
    int error = EDESTADDRREQ;
    for (const Peer& other : everybody) {
        const Address to = address_of(other.address, other.port);
        if (to.family() == from.family() && other.address != peer.address) {
            error = sendto(fd.get(), text.data(), text.size(), 0, to.get(), to.length) < 0 ? errno : 0;
        }
    }
    return error != 0 ? denied(error) : denied("it left the socket, but the test sees whether it arrives");
}

/// rtnetlink(7): a request of one header and `body`; the kernel's answer.
Attempt ask_rtnetlink(std::uint16_t type, const void* body, std::size_t size) {
    const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    struct {
        nlmsghdr head{};
        std::array<char, 256> room{};
    } message;
    message.head.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(size));
    message.head.nlmsg_type = type;
    message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    std::memcpy(message.room.data(), body, size);
    if (!fd || send(fd.get(), &message, message.head.nlmsg_len, 0) < 0) {
        return denied(errno);
    }
    struct {
        nlmsghdr head{};
        nlmsgerr error{};
        std::array<char, 512> rest{};
    } answer;
    const ssize_t got = recv(fd.get(), &answer, sizeof answer, 0);
    if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))) || answer.head.nlmsg_type != NLMSG_ERROR) {
        return denied("not tried: no answer");
    }
    return answer.error.error == 0 ? done("did") : denied(-answer.error.error);
}

Attempt take_link_down() {
    ifinfomsg link{};
    link.ifi_index = static_cast<int>(if_nametoindex("eth0"));
    link.ifi_change = IFF_UP;
    return ask_rtnetlink(RTM_NEWLINK, &link, sizeof link);
}

Attempt give_address() {
    struct {
        ifaddrmsg head{};
        rtattr attribute{};
        std::array<unsigned char, 4> address{10, 77, 0, 11};
    } message;
    message.head.ifa_family = AF_INET;
    message.head.ifa_prefixlen = 32;
    message.head.ifa_index = if_nametoindex("eth0");
    message.attribute.rta_len = RTA_LENGTH(4);
    message.attribute.rta_type = IFA_LOCAL;
    return ask_rtnetlink(RTM_NEWADDR, &message, sizeof message);
}

Attempt give_route() {
    rtmsg route{};
    route.rtm_family = AF_INET;
    route.rtm_table = RT_TABLE_MAIN;
    route.rtm_protocol = RTPROT_STATIC;
    route.rtm_type = RTN_BLACKHOLE;
    return ask_rtnetlink(RTM_NEWROUTE, &route, sizeof route);
}

Attempt connect_unix(const std::string& path) {
    const UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    return tried(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connected");
}

void add_peer_items(Items& items, const Peer& peer, const std::vector<Peer>& everybody) {
    items.push_back({cat("tcp ", peer.name), [peer] { return connect_to(peer); }});
    items.push_back({cat("udp ", peer.name), [peer] { return ask(peer); }});
    items.push_back({cat("ping ", peer.name), [peer] { return ping(peer); }});
    const int option = peer.address.find(':') == std::string::npos ? IP_FREEBIND : IPV6_FREEBIND;
    items.push_back({cat("speak as ", peer.name), [=] { return spoof_source(peer, option, everybody); }});
}

void add_socket_items(Items& items) {
    struct Kind {
        const char* name;
        int family;
        int type;
        int protocol;
    };
    static const std::array kKinds{
        Kind{"raw IPv4", AF_INET, SOCK_RAW, IPPROTO_RAW},
        Kind{"raw ICMP", AF_INET, SOCK_RAW, IPPROTO_ICMP},
        Kind{"raw TCP", AF_INET, SOCK_RAW, IPPROTO_TCP},
        Kind{"raw IPv6", AF_INET6, SOCK_RAW, IPPROTO_RAW},
        Kind{"raw ICMPv6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
        Kind{"packet", AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)},
        Kind{"cooked packet", AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)},
        Kind{"old packet", AF_INET, SOCK_PACKET, htons(ETH_P_ALL)},
        Kind{"netfilter", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER},
        Kind{"generic netlink", AF_NETLINK, SOCK_RAW, NETLINK_GENERIC},
        Kind{"audit", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT},
        Kind{"uevent", AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT},
        Kind{"socket diagnostics", AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG},
        Kind{"xfrm", AF_NETLINK, SOCK_RAW, NETLINK_XFRM},
        Kind{"crypto", AF_ALG, SOCK_SEQPACKET, 0},
        Kind{"vsock", AF_VSOCK, SOCK_STREAM, 0},
        Kind{"AF_KEY", AF_KEY, SOCK_RAW, 2},
        Kind{"AF_XDP", AF_XDP, SOCK_RAW, 0},
        Kind{"bluetooth", AF_BLUETOOTH, SOCK_RAW, 1},
        Kind{"CAN", AF_CAN, SOCK_RAW, 1},
        Kind{"SCTP", AF_INET, SOCK_STREAM, IPPROTO_SCTP},
        Kind{"UDP-Lite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE},
    };
    for (const Kind& kind : kKinds) {
        items.push_back(
            {cat("socket ", kind.name), [&kind] { return has_socket(kind.family, kind.type, kind.protocol); }});
    }
}

}  // namespace

void add_network_items(Items& items, const Knowledge& knowledge) {
    for (const Peer& peer : knowledge.peers) {
        add_peer_items(items, peer, knowledge.peers);
    }
    add_socket_items(items);
    items.push_back({"spoof ARP", spoof_arp});
    items.push_back({"spoof a router", spoof_ra});
    items.push_back({"be transparent", [peers = knowledge.peers] {
                         return spoof_source({"", "192.0.2.2", 9}, IP_TRANSPARENT, peers);
                     }});
    items.push_back({"take the link down", take_link_down});
    items.push_back({"give itself an address", give_address});
    items.push_back({"give itself a route", give_route});
    for (const auto& path : knowledge.sockets) {
        items.push_back({cat("connect ", path), [path] { return connect_unix(path); }});
    }
}

}  // namespace viscum
