// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/endpoint.h"

#include <poll.h>

#include <algorithm>

#include "base/event_loop.h"
#include "base/text.h"

namespace viscum {

Endpoint Endpoint::of(const std::string& address, std::uint16_t port) {
    return {IpAddress::parse(address).value_or(IpAddress{}), port};
}

std::string Endpoint::text() const {
    return address.is_v4() ? cat(address.text(), ":", port) : cat("[", address.text(), "]:", port);
}

SocketAddress to_sockaddr(const Endpoint& endpoint) {
    SocketAddress out;
    if (endpoint.address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        std::memcpy(&v4.sin_addr, endpoint.address.wire(), sizeof v4.sin_addr);
        std::memcpy(&out.storage, &v4, sizeof v4);
        out.length = sizeof v4;
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(endpoint.port);
        std::memcpy(&v6.sin6_addr, endpoint.address.wire(), sizeof v6.sin6_addr);
        std::memcpy(&out.storage, &v6, sizeof v6);
        out.length = sizeof v6;
    }
    return out;
}

Endpoint from_sockaddr(const sockaddr_storage& storage) {
    Endpoint endpoint;
    if (storage.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &storage, sizeof v4);
        endpoint.port = ntohs(v4.sin_port);
        endpoint.address.bytes[10] = endpoint.address.bytes[11] = 0xff;
        std::memcpy(endpoint.address.bytes.data() + 12, &v4.sin_addr, sizeof v4.sin_addr);
    } else {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &storage, sizeof v6);
        endpoint.port = ntohs(v6.sin6_port);
        std::memcpy(endpoint.address.bytes.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    }
    return endpoint;
}

Result<UniqueFd> open_socket(const NetNs& ns, int type, const Endpoint& to, const Endpoint& from) {
    UniqueFd fd;
    auto opened = ns.inside([&]() -> Status {
        const int family = to.address.is_v4() ? AF_INET : AF_INET6;
        fd.reset(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        return fd ? Status() : Status(errno_error("cannot open a socket"));
    });
    if (!opened) {
        return std::move(opened).error();
    }
    const bool any_address = from.address == IpAddress{};
    if (any_address && from.port == 0) {
        return fd;
    }
    Endpoint source = from;
    if (any_address && to.address.is_v4()) {
        source.address.bytes[10] = source.address.bytes[11] = 0xff;
    }
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const SocketAddress address = to_sockaddr(source);
    if (bind(fd.get(), address.get(), address.length) < 0) {
        return errno_error(cat("cannot bind to ", source.text()));
    }
    return fd;
}

bool wait_for_socket(int fd, short events, std::chrono::nanoseconds deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<Millis>(deadline - boot_now()).count();
        pollfd watched{fd, events, 0};
        const int ready = poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
        if (ready >= 0 || errno != EINTR) {
            return ready > 0;
        }
    }
}

}  // namespace viscum
