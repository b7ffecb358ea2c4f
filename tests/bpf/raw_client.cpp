// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bpf/raw_client.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/event_loop.h"
#include "tests/support/endpoint.h"

namespace viscum {

std::optional<RawClient> RawClient::open(const NetNs& ns) {
    UniqueFd fd;
    const auto opened = ns.inside([&fd]() -> Status {
        fd.reset(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
        if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            return errno_error("cannot open a packet socket");
        }
        return {};
    });
    if (!opened) {
        FAIL_CHECK(opened.error().what);
        return std::nullopt;
    }
    return RawClient(std::move(fd));
}

bool RawClient::send(const Bytes& frame) const {
    const bool sent = ::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
    CHECK_MESSAGE(sent, "cannot send a frame: " << std::strerror(errno));
    return sent;
}

std::optional<Bytes> RawClient::receive(const std::function<bool(const Reading&)>& wanted,
                                        std::chrono::milliseconds limit) const {
    const auto deadline = boot_now() + limit;
    while (wait_for_socket(fd_.get(), POLLIN, deadline)) {
        Bytes frame(65'536);
        sockaddr_ll from{};
        socklen_t size = sizeof from;
        const ssize_t length =
            recvfrom(fd_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (length <= 0 || from.sll_pkttype == PACKET_OUTGOING) {
            continue;
        }
        frame.resize(static_cast<std::size_t>(length));
        if (wanted(read_frame(frame))) {
            return frame;
        }
    }
    return std::nullopt;
}

std::optional<Reading> RawConnection::await(int flags) const {
    const auto frame = client_->receive([&](const Reading& reading) {
        return reading.kind == Reading::Kind::transport && reading.protocol == IPPROTO_TCP &&
               reading.source == next_.destination && reading.destination_port == next_.source_port &&
               (reading.flags & flags) == flags;
    });
    return frame ? std::optional(read_frame(*frame)) : std::nullopt;
}

bool RawConnection::send_syn() {
    next_.flags = kSyn;
    return client_->send(next_);
}

bool RawConnection::await_syn_ack() {
    const auto answer = await(kSyn | kAck);
    if (!answer) {
        return false;
    }
    next_.flags = kAck;
    next_.mss = 0;
    next_.sequence = answer->acknowledgement;
    next_.acknowledgement = answer->sequence + 1;
    return true;
}

bool RawConnection::end_after_service() {
    const auto fin = await(kFin);
    if (!fin) {
        return false;
    }
    next_.flags = kFin | kAck;
    next_.acknowledgement = fin->sequence + static_cast<std::uint32_t>(fin->payload) + 1;
    if (!client_->send(next_)) {
        return false;
    }
    next_.flags = kAck;
    next_.sequence += 1;
    return await(kAck).has_value();
}

Frame RawConnection::syn() const {
    Frame out = next_;
    out.flags = kSyn;
    out.sequence += 100'000;
    out.acknowledgement = 0;
    return out;
}

}  // namespace viscum
