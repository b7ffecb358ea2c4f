// SPDX-License-Identifier: GPL-2.0-only
#include "netns/sock_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#include <chrono>

#include "netns/messages.h"
#include "netns/mnl_dump.h"
#include "netns/wire.h"

namespace viscum {
namespace {

constexpr std::uint32_t state(int number) {
    return 1U << number;
}

// Connected UDP sockets are "established", the others "closed" (net/ipv4/udp_diag.c).
constexpr std::uint32_t kUdpWithoutPeer = state(TCP_CLOSE);
constexpr int kNewSynRecv = 12;  // TCP_NEW_SYN_RECV: a handshake under way (include/net/tcp_states.h, since 4.4)
constexpr std::uint32_t kTcpOpen = state(kNewSynRecv) | state(TCP_SYN_RECV) | state(TCP_ESTABLISHED) |
                                   state(TCP_FIN_WAIT1) | state(TCP_FIN_WAIT2) | state(TCP_CLOSE_WAIT) |
                                   state(TCP_LAST_ACK) | state(TCP_CLOSING);

/// Hands every socket of both families in `states` to `each`. An AF_INET6 socket that talks IPv4 shows mapped
/// addresses, which is how IpAddress keeps IPv4 anyway.
template <class Each>
Status each_socket(int fd, int protocol, std::uint32_t states, Each each) {
    for (const int family : {AF_INET, AF_INET6}) {
        alignas(nlmsghdr) std::array<char, 256> bytes{};
        nlmsghdr* const request = mnl_nlmsg_put_header(bytes.data());
        request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request->nlmsg_seq = static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
        auto* const wanted =
            static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
        wanted->sdiag_family = static_cast<std::uint8_t>(family);
        wanted->sdiag_protocol = static_cast<std::uint8_t>(protocol);
        wanted->idiag_states = states;
        auto status = dump(fd, request, [&](nlmsghdr* answer) {
            if (const auto* socket = read_socket(answer)) {
                each(*socket, answer);
            }
        });
        if (!status) {
            return std::move(status).error().in("cannot list sockets");
        }
    }
    return {};
}

Result<std::vector<SockDiag::Listener>> listeners(int fd, int protocol, std::uint32_t states) {
    std::vector<SockDiag::Listener> found;
    auto status = each_socket(fd, protocol, states, [&](const inet_diag_msg& socket, nlmsghdr* answer) {
        const auto v6_only =
            read_value<std::uint8_t>(nlmsg_find_attr(answer, sizeof(inet_diag_msg), INET_DIAG_SKV6ONLY));
        const auto address = address_from_wire(socket.idiag_family, socket.id.idiag_src);
        found.push_back({address, ntohs(socket.id.idiag_sport), address == IpAddress{} && v6_only.value_or(0) != 0,
                         socket.id.idiag_if != 0});
    });
    if (!status) {
        return std::move(status).error();
    }
    return found;
}

template <class Each>
Status each_connection(int fd, const SockDiag::Ports& own, Each each) {
    return each_socket(fd, IPPROTO_TCP, kTcpOpen, [&](const inet_diag_msg& socket, const nlmsghdr*) {
        const SockDiag::Connection connection{
            {address_from_wire(socket.idiag_family, socket.id.idiag_src), ntohs(socket.id.idiag_sport)},
            {address_from_wire(socket.idiag_family, socket.id.idiag_dst), ntohs(socket.id.idiag_dport)}};
        // The program has closed it and the client has got everything: only the client's end is open.
        const bool finished = socket.idiag_state == TCP_FIN_WAIT2 && socket.idiag_inode == 0;
        const bool began = connection.here.port >= own.first && connection.here.port <= own.last;
        if (connection.here.address != connection.there.address && !finished && !began) {
            each(connection);
        }
    });
}

}  // namespace

const inet_diag_msg* read_socket(const nlmsghdr* answer) {
    return fixed_part<inet_diag_msg>(answer);
}

Result<SockDiag> SockDiag::open() {
    auto fd = open_netlink(NETLINK_SOCK_DIAG);
    if (!fd) {
        return std::move(fd).error();
    }
    return SockDiag(*std::move(fd));
}

Result<std::vector<SockDiag::Listener>> SockDiag::tcp_listeners() const {
    return listeners(fd_.get(), IPPROTO_TCP, state(TCP_LISTEN));
}

Result<std::vector<SockDiag::Listener>> SockDiag::udp_listeners() const {
    return listeners(fd_.get(), IPPROTO_UDP, kUdpWithoutPeer);
}

Result<std::uint32_t> SockDiag::open_connections(const Ports& own) const {
    std::uint32_t count = 0;
    auto status = each_connection(fd_.get(), own, [&](const Connection&) { ++count; });
    if (!status) {
        return std::move(status).error();
    }
    return count;
}

Result<std::vector<SockDiag::Connection>> SockDiag::list_connections(std::size_t limit) const {
    std::vector<Connection> found;
    auto status = each_connection(fd_.get(), {}, [&](const Connection& connection) {
        if (found.size() < limit) {
            found.push_back(connection);
        }
    });
    if (!status) {
        return std::move(status).error();
    }
    return found;
}

Result<bool> SockDiag::has_connection(const Connection& wanted) const {
    bool found = false;
    auto status =
        each_connection(fd_.get(), {}, [&](const Connection& connection) { found = found || connection == wanted; });
    if (!status) {
        return std::move(status).error();
    }
    return found;
}

}  // namespace viscum
