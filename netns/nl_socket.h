// SPDX-License-Identifier: GPL-2.0-only
// A route netlink socket. It remembers the namespace that it was opened in: open it inside once and keep it.
#pragma once

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

struct NlMsgFree {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
};

/// A request under construction. What does not fit into it is remembered and fails NlSocket::request with EMSGSIZE, so
/// that building needs no check a line.
class NlMessage {
public:
    /// `header` is the fixed part: ifinfomsg, ifaddrmsg, rtmsg, …
    template <class Header>
    NlMessage(int type, int flags, const Header& header) : NlMessage(type, flags) {
        append(&header, sizeof header);
    }

    void put(int attribute, const void* data, std::size_t size);
    void put_u8(int attribute, std::uint8_t value) { put(attribute, &value, sizeof value); }
    void put_u32(int attribute, std::uint32_t value) { put(attribute, &value, sizeof value); }
    void put_string(int attribute, const std::string& text) { put(attribute, text.c_str(), text.size() + 1); }
    /// A fixed part inside a nest (VETH_INFO_PEER has one).
    void append(const void* data, std::size_t size);
    /// What `fill` puts stands inside `attribute`.
    template <class Fill>
    void nest(int attribute, Fill fill) {
        nlattr* const start = open_nest(attribute);
        fill();
        close_nest(start);
    }

    [[nodiscard]] nl_msg* get() const { return message_.get(); }
    [[nodiscard]] bool complete() const { return complete_; }

private:
    NlMessage(int type, int flags);
    nlattr* open_nest(int attribute);
    void close_nest(nlattr* start);

    std::unique_ptr<nl_msg, NlMsgFree> message_;
    bool complete_ = true;
};

struct NlSockFree {
    void operator()(nl_sock* sock) const { nl_socket_free(sock); }
};

/// For requests and their answers, blocking (the kernel answers at once; one that is lost is an error after 2 s).
class NlSocket {
public:
    /// In the calling thread's namespace.
    static Result<NlSocket> open();
    /// Sends `message`, hands what the kernel answers to `each`, message by message, and waits for the end of it.
    /// errno_code is the kernel's, `what` its words where it has some; EINTR for a list that changed while it was read.
    Status request(const NlMessage& message, const std::function<void(nlmsghdr*)>& each = {}) const;
    [[nodiscard]] nl_sock* get() const { return sock_.get(); }
    [[nodiscard]] int fd() const { return nl_socket_get_fd(sock_.get()); }

private:
    explicit NlSocket(std::unique_ptr<nl_sock, NlSockFree> sock) : sock_(std::move(sock)) {}
    std::unique_ptr<nl_sock, NlSockFree> sock_;
};

/// What `observe` returns; asked again, five times in all, while lists change as they are read (EINTR).
template <class Observe>
auto observe_whole(Observe observe) {
    auto seen = observe();
    for (int tries = 1; tries < 5 && !seen && seen.error().errno_code == EINTR; ++tries) {
        seen = observe();
    }
    return seen;
}

/// The kernel's news of links, addresses, routes and TC in the namespace that it was opened in.
class NlWatch {
public:
    enum class Groups {
        router,   // links, TC, IPv4 and IPv6 addresses; that a route to a single address was removed
        service,  // links, IPv4 and IPv6 addresses and routes
    };
    /// What the messages since the last drain() spoke of. News only says *look again*, never what is.
    struct News {
        bool links = false;               // a link, an address or a route changed
        bool tc = false;                  // a qdisc or filter changed
        bool overflow = false;            // the kernel dropped messages (ENOBUFS): everything may have changed
        std::set<std::uint32_t> devices;  // of links, TC and addresses, by index; 0 stands for a route
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
