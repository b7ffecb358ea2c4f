// SPDX-License-Identifier: GPL-2.0-only
// viscum-prober UID GID
//
// Asks services how they are, on sockets that viscumd hands over, and parses what they answer: the one process that
// reads what a service wrote to us, and has nothing that is worth taking. Descriptor 0 is its end of the pair of
// protocol.h; when the other end closes, it ends. It starts as root in a pid namespace of its own and shuts itself into
// its cage (cage.h) before it reads anything.
//
// No C++ runtime, no stdio, no allocation, no wake-up when idle.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "controller/prober/cage.h"
#include "controller/prober/calls.h"
#include "controller/prober/probes.h"
#include "controller/prober/protocol.h"

namespace {

using viscum::kProberChannel;
using viscum::ProberCode;
using viscum::ProberKind;
using viscum::ProberQuestion;

constexpr uint64_t kChannelEvent = UINT64_MAX;
constexpr int kEvents = 64;
constexpr int kQuestionsAtOnce = 64;  // then the sockets have their turn

struct Message {
    ProberQuestion question;
    char bytes[viscum::kProberMaxSend + viscum::kProberMaxExpect];
};

constinit viscum::Probes probes;
Message message;

void say(ProberCode code, int number) {
    const viscum::ProberAnswer answer{0, code, number};
    viscum::transmit(kProberChannel, &answer, sizeof answer);
}

/// Decimal digits alone, and not 0: nothing of root's. 0 otherwise.
uid_t parse_id(const char* text) {
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9' && value < UINT32_MAX; ++text) {
        value = value * 10 + static_cast<uint64_t>(*text - '0');
    }
    return *text == '\0' && value < UINT32_MAX ? static_cast<uid_t>(value) : 0;
}

/// The descriptor that came with a message; -1: none, or there was no room for it.
int descriptor_of(msghdr& header) {
    const cmsghdr* part = CMSG_FIRSTHDR(&header);
    if (part == nullptr || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
        part->cmsg_len != CMSG_LEN(sizeof(int))) {
        return -1;
    }
    int fd = -1;
    memcpy(&fd, CMSG_DATA(part), sizeof fd);
    return fd;
}

bool is_well_formed(size_t size) {
    const ProberQuestion& question = message.question;
    return size >= sizeof question && question.send_size <= viscum::kProberMaxSend &&
           question.expect_size <= viscum::kProberMaxExpect &&
           size == sizeof question + question.send_size + question.expect_size &&
           (question.kind == ProberKind::http || question.kind == ProberKind::udp ||
            question.kind == ProberKind::cancel);
}

/// One question; false where there is none now. Ends the process with the channel, or with what viscumd never says.
bool take_question() {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec part{&message, sizeof message};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t got = viscum::receive(kProberChannel, &header);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        _exit(0);
    }
    if ((header.msg_flags & MSG_TRUNC) != 0 || !is_well_formed(static_cast<size_t>(got))) {
        _exit(3);
    }
    const int fd = descriptor_of(header);
    if (message.question.kind == ProberKind::cancel) {
        probes.cancel(message.question.id);
    } else {
        probes.begin(message.question, message.bytes, fd);
    }
    return true;
}

[[noreturn]] void serve(int epoll) {
    while (true) {
        epoll_event events[kEvents];
        const int limit = probes.expire();
        const long count = syscall(SYS_epoll_pwait, epoll, events, kEvents, limit, nullptr, size_t{8});
        for (long i = 0; i < count; ++i) {
            if (events[i].data.u64 != kChannelEvent) {
                probes.ready(static_cast<size_t>(events[i].data.u64));
                continue;
            }
            for (int taken = 0; taken < kQuestionsAtOnce && take_question(); ++taken) {
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    int type = 0;
    socklen_t size = sizeof type;
    const uid_t uid = argc == 3 ? parse_id(argv[1]) : 0;
    const gid_t gid = argc == 3 ? parse_id(argv[2]) : 0;
    if (uid == 0 || gid == 0 || getsockopt(kProberChannel, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        type != SOCK_SEQPACKET) {
        constexpr char kUsage[] = "viscum-prober is started by viscumd: viscum-prober UID GID 0<>SOCKET\n";
        [[maybe_unused]] const auto ignored = write(STDERR_FILENO, kUsage, sizeof kUsage - 1);
        return 2;
    }
    int epoll = -1;
    int32_t lacks = 0;
    if (const int code = viscum::shut_cage(uid, gid, &epoll, &lacks); code != 0) {
        say(ProberCode::cannot_cage, code);
        return 1;
    }
    probes.open(epoll);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kChannelEvent;
    if (syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, kProberChannel, &event) != 0) {
        _exit(1);
    }
    say(ProberCode::ready, lacks);
    serve(epoll);
}
