// SPDX-License-Identifier: GPL-2.0-only
// Dumps over libmnl, for what libnl has no objects for: sockets and tracked connections.
#pragma once

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// A netlink socket of `protocol` in the calling thread's namespace, blocking.
inline Result<UniqueFd> open_netlink(int protocol) {
    UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (!fd) {
        return errno_error("cannot open a netlink socket");
    }
    return fd;
}

/// Sends `request`, a message with NLM_F_DUMP, and hands every message of the answer to `each`.
/// errno_code is the kernel's. `sequence` tells this dump's answer from the rest of one that failed.
template <class Each>
Status dump(int fd, nlmsghdr* request, Each each) {
    if (send(fd, request, request->nlmsg_len, 0) < 0) {
        return errno_error("cannot send");
    }
    alignas(nlmsghdr) std::array<char, 32768> bytes;  // the kernel makes no larger parts of a dump
    while (true) {
        const auto got = recv(fd, bytes.data(), bytes.size(), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno_error("cannot receive");
        }
        int left = static_cast<int>(got);
        for (auto* answer = reinterpret_cast<nlmsghdr*>(bytes.data()); mnl_nlmsg_ok(answer, left);
             answer = mnl_nlmsg_next(answer, &left)) {
            if (answer->nlmsg_seq != request->nlmsg_seq) {
                continue;
            }
            if (answer->nlmsg_type == NLMSG_DONE || answer->nlmsg_type == NLMSG_ERROR) {
                // Both begin with a negative errno, or 0.
                const int code = *static_cast<const int*>(mnl_nlmsg_get_payload(answer));
                return code == 0 ? Status() : Status(errno_error("the kernel refuses", code));
            }
            each(answer);
        }
    }
}

}  // namespace viscum
