// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/udp_client.h"

#include <poll.h>

#include <array>

#include "base/event_loop.h"
#include "base/text.h"

namespace viscum {
namespace {

// The socket is not connected, so that a reply from a wrong address is seen; IP_RECVERR tells ICMP errors all the same.
UdpResult ask(int fd, const UdpRequest& request) {
    UdpResult result;
    const SocketAddress to = to_sockaddr(request.to);
    if (sendto(fd, request.payload.data(), request.payload.size(), 0, to.get(), to.length) < 0) {
        result.error = std::strerror(errno);
        return result;
    }
    if (!wait_for_socket(fd, POLLIN, boot_now() + request.limit)) {
        result.error = "no answer in time";
        return result;
    }
    std::array<char, 65'536> buffer{};
    sockaddr_storage from{};
    socklen_t from_length = sizeof from;
    const ssize_t length =
        recvfrom(fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_length);
    if (length < 0) {
        result.error = std::strerror(errno);
        return result;
    }
    result.answered = true;
    result.reply.assign(buffer.data(), static_cast<std::size_t>(length));
    result.source = from_sockaddr(from);
    return result;
}

UdpResult timed_ask(int fd, const UdpRequest& request) {
    const BootTime start = boot_now();
    UdpResult result = ask(fd, request);
    result.took = boot_now() - start;
    return result;
}

}  // namespace

Result<UdpFlow> UdpFlow::open(const NetNs& ns, const UdpRequest& request) {
    auto fd = open_socket(ns, SOCK_DGRAM, request.to, request.from);
    if (!fd) {
        return std::move(fd).error();
    }
    const int on = 1;
    if (request.to.address.is_v4()) {
        setsockopt(fd->get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    } else {
        setsockopt(fd->get(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    }
    return UdpFlow(std::move(*fd), request);
}

UdpResult UdpFlow::query() {
    return timed_ask(fd_.get(), request_);
}

UdpResult udp_query(const NetNs& ns, const UdpRequest& request) {
    auto flow = UdpFlow::open(ns, request);
    if (!flow) {
        UdpResult result;
        result.error = flow.error().what;
        return result;
    }
    return flow->query();
}

std::string dns_txt_query(const std::string& name) {
    std::string query("VS\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    for (const std::string& label : split(name, '.')) {
        query += static_cast<char>(label.size());
        query += label;
    }
    query.append("\x00\x00\x10\x00\x01", 5);  // the root, TXT, IN
    return query;
}

// The question is repeated in front of the answer; the answer's name is a pointer to it: 2 + 10 bytes, then the text.
std::string dns_txt_answer(const std::string& reply) {
    const auto at = [&reply](std::size_t index) { return static_cast<unsigned char>(reply[index]); };
    if (reply.size() < 12 || (at(3) & 0x0f) != 0 || at(7) == 0) {
        return "no answer in the reply";
    }
    std::size_t index = 12;
    while (index < reply.size() && at(index) != 0) {
        index += 1U + at(index);
    }
    index += 1 + 4 + 12;
    if (index >= reply.size() || index + 1 + at(index) > reply.size()) {
        return "a reply that is too short";
    }
    return reply.substr(index + 1, at(index));
}

}  // namespace viscum
