// SPDX-License-Identifier: GPL-2.0-only
// A route netlink socket. It remembers the namespace that it was opened in: open it inside once and keep it.
#pragma once

#include <netlink/netlink.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace viscum {

struct NlSockFree {
    void operator()(nl_sock* sock) const { nl_socket_free(sock); }
};

/// For requests and their answers, blocking (the kernel answers at once).
class NlSocket {
public:
    /// In the calling thread's namespace.
    static Result<NlSocket> open();
    [[nodiscard]] nl_sock* get() const { return sock_.get(); }
    [[nodiscard]] int fd() const { return nl_socket_get_fd(sock_.get()); }

private:
    explicit NlSocket(std::unique_ptr<nl_sock, NlSockFree> sock) : sock_(std::move(sock)) {}
    std::unique_ptr<nl_sock, NlSockFree> sock_;
};

/// The kernel's news of links, addresses, routes and TC in the namespace that it was opened in.
class NlWatch {
public:
    enum class Groups {
        router,   // links, TC, IPv4 and IPv6 addresses
        service,  // links, IPv4 and IPv6 addresses and routes
    };
    /// What the messages since the last drain() spoke of. News only says *look again*, never what is.
    struct News {
        bool links = false;      // a link, an address or a route changed
        bool tc = false;         // a qdisc or filter changed
        bool overflow = false;   // the kernel dropped messages (ENOBUFS): everything may have changed
    };

    static Result<NlWatch> open(Groups groups);
    /// Non-blocking; becomes readable when there is news.
    [[nodiscard]] int fd() const { return nl_socket_get_fd(sock_.get()); }
    /// Reads all that waits, at most 4,096 messages.
    News drain();

private:
    explicit NlWatch(std::unique_ptr<nl_sock, NlSockFree> sock) : sock_(std::move(sock)) {}
    std::unique_ptr<nl_sock, NlSockFree> sock_;
};

}  // namespace viscum
