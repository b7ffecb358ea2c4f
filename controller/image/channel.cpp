// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/channel.h"

#include <sys/socket.h>

#include <array>

namespace viscum {
namespace {

constexpr std::size_t kMaxDescriptors = 2;

union Control {
    cmsghdr header;
    std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> bytes;
};

}  // namespace

Status send_message(int socket, char kind, std::string_view text, const std::vector<int>& descriptors) {
    std::string bytes(1, kind);
    bytes += text;
    if (bytes.size() > kMaxMessage || descriptors.size() > kMaxDescriptors) {
        return Error{EMSGSIZE, "a message is too long"};
    }
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    Control control{};
    if (!descriptors.empty()) {
        message.msg_control = control.bytes.data();
        message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
        std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(int) * descriptors.size());
    }
    while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return errno_error("cannot send a message");
        }
    }
    return {};
}

Result<std::optional<Message>> receive_message(int socket) {
    std::string bytes(kMaxMessage, '\0');
    iovec part{bytes.data(), bytes.size()};
    Control control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    ssize_t got = 0;
    while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (got < 0) {
        return errno_error("cannot receive a message");
    }
    Message made;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
                int fd = -1;
                std::memcpy(&fd, reinterpret_cast<const char*>(header) + at, sizeof fd);
                made.descriptors.emplace_back(fd);
            }
        }
    }
    if (got == 0) {
        return std::optional<Message>();
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return Error{EMSGSIZE, "a message is too long"};
    }
    made.kind = bytes.front();
    made.text = bytes.substr(1, static_cast<std::size_t>(got) - 1);
    return std::optional(std::move(made));
}

}  // namespace viscum
