// SPDX-License-Identifier: GPL-2.0-only
#include "netns/nl_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <optional>

#include "base/text.h"
#include "base/unique_fd.h"
#include "netns/messages.h"
#include "netns/wire.h"

namespace viscum {
namespace {

constexpr int kMaxNews = 4096;
constexpr int kMaxParts = 4096;
// Room for the largest message that the kernel makes of a dump (32 KiB), without asking for the size first.
constexpr std::size_t kAnswerBytes = 32768;
// News says only *look again*, and an overflow says that as well.
constexpr int kNewsBytes = 32768;

// The kernel answers before it returns from the request: what is not there by then will not come.
constexpr timeval kAnswerWithin{2, 0};

using Sock = std::unique_ptr<nl_sock, NlSockFree>;

/// The kernel chooses the port: libnl's own choice ends after 1,024 sockets in a process.
Result<Sock> open_sock(int type_flags) {
    UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | type_flags, NETLINK_ROUTE));
    if (!fd) {
        return errno_error("cannot open a netlink socket");
    }
    sockaddr_nl local{};
    local.nl_family = AF_NETLINK;
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) {
        return errno_error("cannot bind a netlink socket");
    }
    Sock sock(nl_socket_alloc());
    if (!sock) {
        return errno_error("cannot open a netlink socket", ENOMEM);
    }
    if (const int error = nl_socket_set_fd(sock.get(), NETLINK_ROUTE, fd.get()); error != 0) {
        return Error{EIO, cat("cannot use a netlink socket: ", nl_geterror(error))};
    }
    static_cast<void>(fd.release());  // the nl_sock's from here on
    return sock;
}

/// The kernel's own words for what is wrong, or "".
std::string kernel_words(nlmsghdr* answer, const nlmsgerr* error) {
    if ((answer->nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
        return {};
    }
    auto fixed = sizeof *error;
    if ((answer->nlmsg_flags & NLM_F_CAPPED) == 0) {
        fixed += std::max<std::size_t>(error->msg.nlmsg_len, sizeof error->msg) - sizeof error->msg;
    }
    if (fixed > static_cast<std::size_t>(nlmsg_datalen(answer))) {
        return {};
    }
    const nlattr* words = nlmsg_find_attr(answer, static_cast<int>(fixed), NLMSGERR_ATTR_MSG);
    if (words == nullptr || nla_len(words) < 1) {
        return {};
    }
    const std::string_view text(static_cast<const char*>(nla_data(words)), static_cast<std::size_t>(nla_len(words)));
    return cat(": ", text.substr(0, text.find('\0')));
}

/// How an answer ended: the errno of NLMSG_ERROR (0: an acknowledgement) or NLMSG_DONE; none while it goes on.
std::optional<Error> end_of_answer(nlmsghdr* answer) {
    if (answer->nlmsg_type == NLMSG_DONE) {
        const auto* code = static_cast<const int*>(nlmsg_data(answer));
        const bool failed = nlmsg_datalen(answer) >= static_cast<int>(sizeof *code) && *code < 0;
        return failed ? Error{positive_errno(*code), std::strerror(positive_errno(*code))} : Error{};
    }
    if (answer->nlmsg_type == NLMSG_ERROR) {
        const auto* error = fixed_part<nlmsgerr>(answer);
        if (error == nullptr) {
            return Error{EBADMSG, "the kernel's answer is too short"};
        }
        if (error->error == 0) {
            return Error{};
        }
        const int code = positive_errno(error->error);
        return Error{code, cat(std::strerror(code), kernel_words(answer, error))};
    }
    return std::nullopt;
}

/// Of the router's routes only the end of one for a single address is let in: it may have been an alias's. A router
/// that learns thousands of routes from others would never rest otherwise.
Status pass_few_routes(int fd) {
    constexpr std::uint32_t kType = offsetof(nlmsghdr, nlmsg_type);
    constexpr std::uint32_t kLength = NLMSG_HDRLEN + offsetof(rtmsg, rtm_dst_len);
    constexpr std::uint32_t kWhole = 0xffffffff;
    // Loads take the network's byte order, the header has the machine's.
    std::array<sock_filter, 8> steps{{
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kType),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kLength),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 32, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 128, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, kWhole),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
    const sock_fprog program{steps.size(), steps.data()};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
        return errno_error("cannot filter netlink's news");
    }
    return {};
}

/// The rest of an answer that was given up: the kernel takes no other request for a list while one is under way.
void drop_answer(int fd) {
    for (int part = 0; part < kMaxParts; ++part) {
        char first = 0;
        if (recv(fd, &first, sizeof first, MSG_DONTWAIT) < 0 && errno != ENOBUFS && errno != EINTR) {
            break;
        }
    }
}

/// What a piece of news begins with. ifinfomsg, ifaddrmsg and tcmsg have the device at the same place.
struct Start {
    nlmsghdr header;
    tcmsg about;
};
static_assert(offsetof(tcmsg, tcm_ifindex) == offsetof(ifinfomsg, ifi_index) &&
              offsetof(tcmsg, tcm_ifindex) == offsetof(ifaddrmsg, ifa_index));

void note(NlWatch::News& news, const Start& start) {
    const int type = start.header.nlmsg_type;
    const bool about_route = type >= RTM_NEWROUTE && type <= RTM_GETROUTE;
    if (type >= RTM_NEWLINK && type <= RTM_GETROUTE) {
        news.links = true;
    } else if ((type >= RTM_NEWQDISC && type <= RTM_GETTFILTER) || (type >= RTM_NEWCHAIN && type <= RTM_GETCHAIN)) {
        news.tc = true;
    } else {
        return;
    }
    news.devices.insert(about_route ? 0U : static_cast<std::uint32_t>(start.about.tcm_ifindex));
}

}  // namespace

NlMessage::NlMessage(int type, int flags) : message_(nlmsg_alloc_simple(type, flags)) {
    complete_ = message_ != nullptr;
}

void NlMessage::put(int attribute, const void* data, std::size_t size) {
    complete_ = complete_ && nla_put(message_.get(), attribute, static_cast<int>(size), data) == 0;
}

void NlMessage::append(const void* data, std::size_t size) {
    // libnl copies from it, without saying const.
    complete_ = complete_ && nlmsg_append(message_.get(), const_cast<void*>(data), size, NLMSG_ALIGNTO) == 0;
}

nlattr* NlMessage::open_nest(int attribute) {
    nlattr* const start = complete_ ? nla_nest_start(message_.get(), attribute) : nullptr;
    complete_ = start != nullptr;
    return start;
}

void NlMessage::close_nest(nlattr* start) {
    complete_ = complete_ && nla_nest_end(message_.get(), start) == 0;
}

Result<NlSocket> NlSocket::open() {
    auto sock = open_sock(0);
    if (!sock) {
        return std::move(sock).error();
    }
    nl_socket_set_msg_buf_size(sock->get(), kAnswerBytes);
    setsockopt(nl_socket_get_fd(sock->get()), SOL_SOCKET, SO_RCVTIMEO, &kAnswerWithin, sizeof kAnswerWithin);
    // Kernels that cannot say more than an errno (before 4.12) refuse, and say an errno.
    const int on = 1;
    setsockopt(nl_socket_get_fd(sock->get()), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(nl_socket_get_fd(sock->get()), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return NlSocket(std::move(*sock));
}

std::optional<Status> read_answer(unsigned char* bytes, int length, std::uint32_t sequence, bool& interrupted,
                                  const std::function<void(nlmsghdr*)>& each) {
    for (auto* answer = reinterpret_cast<nlmsghdr*>(bytes); nlmsg_ok(answer, length) != 0;
         answer = nlmsg_next(answer, &length)) {
        if (answer->nlmsg_seq != sequence) {
            continue;  // the rest of an answer that was given up
        }
        interrupted = interrupted || (answer->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        auto end = end_of_answer(answer);
        if (end && end->errno_code != 0) {
            return *std::move(end);
        }
        if (end) {
            return interrupted ? Status(errno_error("the list changed while it was read", EINTR)) : Status();
        }
        if (each) {
            each(answer);
        }
    }
    return std::nullopt;
}

Status NlSocket::request(const NlMessage& message, const std::function<void(nlmsghdr*)>& each) const {
    if (!message.complete()) {
        return errno_error("the request is too long", EMSGSIZE);
    }
    if (const int sent = nl_send_auto(sock_.get(), message.get()); sent < 0) {
        return Error{EIO, cat("cannot send: ", nl_geterror(sent))};
    }
    const auto sequence = nlmsg_hdr(message.get())->nlmsg_seq;
    bool interrupted = false;
    while (true) {
        sockaddr_nl sender{};
        unsigned char* bytes = nullptr;
        const int left = nl_recv(sock_.get(), &sender, &bytes, nullptr);
        const std::unique_ptr<unsigned char, decltype(&std::free)> keeper(bytes, &std::free);
        if (left <= 0) {
            drop_answer(fd());
            return Error{EIO, cat("cannot receive: ", nl_geterror(left))};
        }
        if (auto end = read_answer(bytes, left, sequence, interrupted, each)) {
            return *std::move(end);
        }
    }
}

Result<NlWatch> NlWatch::open(Groups groups) {
    auto sock = open_sock(SOCK_NONBLOCK);
    if (!sock) {
        return std::move(sock).error();
    }
    const int fd = nl_socket_get_fd(sock->get());
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kNewsBytes, sizeof kNewsBytes);
    if (auto status = groups == Groups::router ? pass_few_routes(fd) : Status{}; !status) {
        return std::move(status).error();
    }
    const std::initializer_list<int> router{RTNLGRP_LINK,        RTNLGRP_TC,         RTNLGRP_IPV4_IFADDR,
                                            RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
    const std::initializer_list<int> service{RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                                             RTNLGRP_IPV6_ROUTE};
    for (const int group : groups == Groups::router ? router : service) {
        if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
            return errno_error(cat("cannot join netlink group ", group));
        }
    }
    return NlWatch(std::move(*sock));
}

NlWatch::News NlWatch::drain() {
    News news;
    for (int count = 0; count < kMaxNews; ++count) {
        Start start{};  // a piece of news is one message, and its start says it all
        const auto got = recv(fd(), &start, sizeof start, MSG_TRUNC);
        if (got < 0 && errno == ENOBUFS) {
            news.overflow = true;
        } else if (got < 0 && errno != EINTR) {
            break;
        } else if (got >= static_cast<ssize_t>(sizeof start.header)) {
            note(news, start);
        }
    }
    return news;
}

}  // namespace viscum
