// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/live_sockets.h"

#include <doctest/doctest.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/ethernet.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/bpf/reading.h"
#include "tests/support/endpoint.h"

namespace viscum {
namespace {

constexpr std::uint32_t kServiceSequence = 100'000;
constexpr std::uint32_t kClientSequence = 500'000;
constexpr auto kLimit = std::chrono::seconds(20);

bool set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/// So that a FIN may leave.
bool open_window(int fd) {
    tcp_repair_window window{};
    window.snd_wl1 = window.rcv_wup = kClientSequence;
    window.snd_wnd = window.max_window = window.rcv_wnd = 32'768;
    return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof window) == 0;
}

/// An established connection of which no packet was ever sent.
bool connect_by_repair(int fd, const WorldSocket& socket) {
    const auto local = to_sockaddr({socket.address, socket.port});
    const auto remote = to_sockaddr({socket.remote, socket.remote_port});
    return set_option(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) &&
           set_option(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) &&
           set_option(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, static_cast<int>(kServiceSequence)) &&
           set_option(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) &&
           set_option(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, static_cast<int>(kClientSequence)) &&
           bind(fd, local.get(), local.length) == 0 && connect(fd, remote.get(), remote.length) == 0 &&
           open_window(fd) && set_option(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
}

bool open_wildcard_or_bound(int fd, const WorldSocket& socket) {
    Endpoint at{socket.address, socket.port};
    if (socket.any_v6) {
        at.address = IpAddress{};
    } else if (socket.any_v4) {
        at.address = IpAddress::parse("0.0.0.0").value();
    }
    if (!at.address.is_v4() && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, socket.any_v4 ? 0 : 1)) {
        return false;
    }
    if (socket.other_device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0) {
        return false;
    }
    const auto address = to_sockaddr(at);
    if (bind(fd, address.get(), address.length) != 0) {
        return false;
    }
    if (socket.kind == WorldSocket::Kind::connected) {
        const auto remote = to_sockaddr({socket.remote, socket.remote_port});
        return connect(fd, remote.get(), remote.length) == 0;
    }
    return !socket.tcp() || listen(fd, 64) == 0;
}

Frame from_client(const WorldSocket& socket, int flags) {
    Frame frame = tcp(socket.remote.text(), socket.address.text(), flags);
    frame.to_mac = kServiceMac;
    frame.source_port = socket.remote_port;
    frame.destination_port = socket.port;
    frame.sequence = kClientSequence;
    return frame;
}

}  // namespace

UniqueFd open_world_socket(const NetNs& ns, const WorldSocket& socket) {
    UniqueFd fd;
    const bool v4 = socket.any_v4 || socket.any_v6 ? !socket.any_v6 : socket.address.is_v4();
    const auto opened = ns.inside([&]() -> Status {
        fd.reset(::socket(v4 ? AF_INET : AF_INET6, (socket.tcp() ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
        if (!fd || !set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1)) {
            return errno_error("cannot open a socket");
        }
        const bool connected = socket.tcp() && socket.has_peer();
        if (!(connected ? connect_by_repair(fd.get(), socket) : open_wildcard_or_bound(fd.get(), socket))) {
            return errno_error(cat("cannot have ", describe(socket)));
        }
        return {};
    });
    return opened ? std::move(fd) : UniqueFd();
}

std::optional<LinkEnd> LinkEnd::open(std::uint32_t ifindex) {
    UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(ifindex);
    if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        FAIL_CHECK("cannot open the router's end of a link: " << std::strerror(errno));
        return std::nullopt;
    }
    return LinkEnd(std::move(fd));
}

bool LinkEnd::send(const Bytes& frame) const {
    const bool sent = ::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
    CHECK_MESSAGE(sent, "cannot write into a link: " << std::strerror(errno));
    return sent;
}

bool LinkEnd::end_connection(const WorldSocket& socket) const {
    Frame end = from_client(socket, kFin | kAck);
    end.acknowledgement = kServiceSequence + 1;
    return send(build(end));
}

bool LinkEnd::send_syn(const WorldSocket& socket) const {
    return send(build(from_client(socket, kSyn)));
}

std::optional<WorldCookie> LinkEnd::ask_cookie(const WorldSocket& socket) const {
    if (!send_syn(socket)) {
        return std::nullopt;
    }
    const auto deadline = boot_now() + kLimit;
    while (wait_for_socket(fd_.get(), POLLIN, deadline)) {
        Bytes frame(2048);
        const auto length = recv(fd_.get(), frame.data(), frame.size(), 0);
        frame.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
        const Reading answer = read_frame(frame);
        if (answer.kind == Reading::Kind::transport && (answer.flags & (kSyn | kAck)) == (kSyn | kAck) &&
            answer.source == socket.address && answer.source_port == socket.port &&
            answer.destination == socket.remote && answer.destination_port == socket.remote_port) {
            return WorldCookie{socket.link, socket.remote,       socket.address,     socket.remote_port,
                               socket.port, kClientSequence + 1, answer.sequence + 1};
        }
    }
    FAIL_CHECK("no answer with a cookie: " << describe(socket));
    return std::nullopt;
}

bool wait_for_tcp_states(const NetNs& ns, std::size_t handshakes, std::size_t time_waits) {
    const auto deadline = boot_now() + kLimit;
    std::size_t seen[2] = {};
    do {
        seen[0] = seen[1] = 0;
        const auto looked = ns.inside([&seen]() -> Status {
            for (const char* table : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
                std::ifstream file(table);
                std::string line;
                std::getline(file, line);
                while (std::getline(file, line)) {
                    // "  0: 0A00020F:0050 0A000210:9C40 06 …"
                    const auto state = line.find(' ', line.find(':', line.find(':', line.find(':') + 1) + 1));
                    seen[0] += line.compare(state + 1, 2, "03") == 0 ? 1U : 0U;
                    seen[1] += line.compare(state + 1, 2, "06") == 0 ? 1U : 0U;
                }
            }
            return {};
        });
        if (!looked) {
            break;
        }
    } while ((seen[0] != handshakes || seen[1] != time_waits) && boot_now() < deadline);
    const bool right = seen[0] == handshakes && seen[1] == time_waits;
    CHECK_MESSAGE(right,
                  seen[0] << " handshakes of " << handshakes << ", " << seen[1] << " time-waits of " << time_waits);
    return right;
}

}  // namespace viscum
