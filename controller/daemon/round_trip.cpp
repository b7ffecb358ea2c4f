// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/round_trip.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

namespace viscum {
namespace {

constexpr Millis kTimeout{5'000};

/// On which connect(2) was called; none where that failed at once.
UniqueFd connect_to(const CloudTarget& target) {
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    const bool is_v4 = target.address.is_v4();
    v4.sin_family = AF_INET;
    v4.sin_port = htons(target.port);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(target.port);
    is_v4 ? std::memcpy(&v4.sin_addr, target.address.wire(), sizeof v4.sin_addr)
          : std::memcpy(&v6.sin6_addr, target.address.wire(), sizeof v6.sin6_addr);
    const auto* address = is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
    UniqueFd out(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (out && ::connect(out.get(), address, is_v4 ? sizeof v4 : sizeof v6) != 0 && errno != EINPROGRESS) {
        out.reset();
    }
    return out;
}

}  // namespace

void RoundTrip::start(const CloudTarget& target, Done done) {
    done_ = std::move(done);
    begun_ = boot_now();
    socket_ = connect_to(target);
    const bool watched = socket_ && loop_.watch(socket_.get(), Order::clients, EPOLLOUT, [this](std::uint32_t) {
        int code = 0;
        socklen_t size = sizeof code;
        finish(getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0);
    });
    timer_ = loop_.after(watched ? kTimeout : Millis(0), [this] { finish(false); });
}

/// As the kernel measured it: what viscumd did meanwhile is none of the cloud's time.
std::int64_t RoundTrip::took() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (socket_ && getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_rtt != 0) {
        return info.tcpi_rtt;
    }
    return std::chrono::duration_cast<std::chrono::microseconds>(boot_now() - begun_).count();
}

void RoundTrip::finish(bool connected) {
    const auto took = this->took();
    const Done done = std::exchange(done_, nullptr);
    release();
    done(connected ? std::optional<std::int64_t>(took) : std::nullopt);
}

void RoundTrip::release() {
    loop_.cancel(timer_);
    if (socket_) {
        loop_.unwatch(socket_.get());
        socket_.reset();
    }
}

}  // namespace viscum
