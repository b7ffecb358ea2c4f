// SPDX-License-Identifier: GPL-2.0-only
// Dumps over libmnl, for what libnl has no objects for: sockets and tracked connections.
#pragma once

#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "netns/wire.h"

namespace viscum {

/// A netlink socket of `protocol` in the calling thread's namespace, blocking.
inline Result<UniqueFd> open_netlink(int protocol) {
    UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (!fd) {
        return errno_error("cannot open a netlink socket");
    }
    const timeval within{2, 0};  // as NlSocket's: an answer that is lost is no reason to wait for ever
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    return fd;
}

/// Hands the messages of one datagram that belong to `sequence` to `each`. How the dump ended, once it has.
template <class Each>
std::optional<Status> read_part(char* bytes, int length, std::uint32_t sequence, Each each) {
    for (auto* answer = reinterpret_cast<nlmsghdr*>(bytes); is_whole(answer, length);
         answer = mnl_nlmsg_next(answer, &length)) {
        if (answer->nlmsg_seq != sequence) {
            continue;
        }
        if (answer->nlmsg_type == NLMSG_DONE || answer->nlmsg_type == NLMSG_ERROR) {
            // Both begin with a negative errno, or 0.
            int code = -EBADMSG;
            if (mnl_nlmsg_get_payload_len(answer) >= sizeof code) {
                std::memcpy(&code, mnl_nlmsg_get_payload(answer), sizeof code);
            }
            return code == 0 ? Status() : Status(errno_error("the kernel refuses", code));
        }
        each(answer);
    }
    return std::nullopt;
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
        if (auto end = read_part(bytes.data(), static_cast<int>(got), request->nlmsg_seq, each)) {
            return *std::move(end);
        }
    }
}

}  // namespace viscum
