// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/prober.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "base/text.h"

namespace viscum {
namespace {

// An end within this time after the start is one of a row: then the pause grows.
constexpr Millis kSteady{10'000};
constexpr Millis kFirstPause{100};
constexpr Millis kLongestPause{5'000};  // what hangs is not noticed meanwhile
constexpr int kPatience = 3;
constexpr int kAnswersAtOnce = 256;
constexpr int kAnswersToOne = 2;  // udp_mismatch_so_far, and the end

/// The child of clone: system calls only. `channel` becomes the prober's one descriptor.
[[noreturn]] void run_prober(const char* const* argv, int channel) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // should the parent be gone already, the channel's end tells it
    setsid();
    static const char kDefault[64] = {};  // the kernel's struct sigaction, whatever its layout
    for (int number = 1; number < _NSIG; ++number) {
        syscall(SYS_rt_sigaction, number, kDefault, nullptr, _NSIG / 8);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    // Two steps: where it has the number already, dup2 would leave it close-on-exec.
    const int moved = fcntl(channel, F_DUPFD_CLOEXEC, 3);
    int code = errno;
    if (moved >= 0 && dup2(moved, kProberChannel) == kProberChannel) {
        const char* const no_environment[] = {nullptr};
        execve(argv[0], const_cast<char* const*>(argv), const_cast<char* const*>(no_environment));
        code = errno;
        channel = kProberChannel;
    }
    const ProberAnswer answer{0, ProberCode::cannot_execute, code};
    [[maybe_unused]] const auto ignored = write(channel, &answer, sizeof answer);
    _exit(127);
}

/// As fork does it, without glibc's handlers; in a pid namespace of its own where the kernel has them.
pid_t clone_child(int* pidfd) {
    pid_t pid = -1;
    for (const std::uint64_t flags : {std::uint64_t{CLONE_NEWPID}, std::uint64_t{0}}) {
        clone_args how{};
        how.flags = flags | CLONE_PIDFD;
        how.pidfd = reinterpret_cast<std::uintptr_t>(pidfd);
        how.exit_signal = SIGCHLD;
        pid = static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof how));
        if (pid >= 0 || (errno != EPERM && errno != EINVAL && errno != ENOSPC)) {
            break;
        }
    }
    return pid;
}

std::string lacking(std::int32_t lacks) {
    std::string out;
    const auto add = [&](std::int32_t bit, const char* text) {
        out += (lacks & bit) == 0 ? "" : cat(out.empty() ? "" : ", ", text);
    };
    add(kProberLacksNamespaces, "namespaces");
    add(kProberLacksRoot, "an empty root");
    add(kProberLacksSeccomp, "seccomp");
    return out;
}

}  // namespace

Prober::~Prober() {
    stop();
}

void Prober::rest() {
    if (asked_.empty()) {
        stop();
    }
}

/// The same over and over is told once.
void Prober::tell(const std::string& text) {
    if (spec_.tell && text != told_) {
        told_ = text;
        spec_.tell(text);
    }
}

Status Prober::prepare() {
    if (pidfd_) {
        return {};
    }
    if (boot_now() < not_before_) {
        return Error{EAGAIN, why_.empty() ? "the prober ended, and is started again soon" : why_};
    }
    auto status = start();
    return status ? std::move(status) : Status(std::move(status).error().in("cannot start the prober"));
}

Status Prober::start() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return errno_error("cannot create a socket pair");
    }
    UniqueFd ours(ends[0]);
    const UniqueFd its(ends[1]);
    const std::string uid = std::to_string(spec_.uid);
    const std::string gid = std::to_string(spec_.gid);
    const std::array<const char*, 4> argv{spec_.path.c_str(), uid.c_str(), gid.c_str(), nullptr};
    int pidfd = -1;
    const pid_t pid = clone_child(&pidfd);
    if (pid < 0) {
        return errno_error("cannot create a process");
    }
    if (pid == 0) {
        run_prober(argv.data(), its.get());
    }
    channel_ = std::move(ours);
    pidfd_ = UniqueFd(pidfd);
    pid_ = pid;
    started_ = boot_now();
    silent_ = 0;
    owed_ = 1;
    read_until_ = next_;
    why_.clear();
    // Before the timers: an answer that has come is never too late because viscumd was.
    auto watched = loop_.watch(channel_.get(), Order::children, EPOLLIN, [this](std::uint32_t events) {
        if ((events & EPOLLOUT) != 0) {
            send_waiting();
        }
        read_answers();
    });
    if (watched) {
        watched = loop_.watch(pidfd_.get(), Order::children, EPOLLIN, [this](std::uint32_t) { ended(); });
    }
    if (!watched) {
        stop();
    }
    return watched;
}

/// Ends it and waits for that: it takes no longer than the kernel does to end a small process.
void Prober::stop() {
    if (!pidfd_) {
        return;
    }
    loop_.unwatch(channel_.get());
    loop_.unwatch(pidfd_.get());
    syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    siginfo_t info{};
    waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info, WEXITED);
    channel_.reset();
    pidfd_.reset();
    pid_ = 0;
}

/// Its end is then told like any other.
void Prober::end_it(const char* why) {
    why_ = why;
    syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

void Prober::ended() {
    if (why_.empty()) {
        read_answers();  // what it said last
    }
    siginfo_t info{};
    waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
    const bool exited = info.si_code == CLD_EXITED;
    stop();
    const BootTime now = boot_now();
    pause_ = now - started_ >= kSteady ? Millis(0) : pause_;
    not_before_ = now + pause_;
    pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    tell(why_.empty() ? cat("the prober ", exited ? "exited with " : "was killed by signal ", info.si_status) : why_);
    waiting_.clear();
    lose(next_);
}

/// Those that were asked before `until`: what is told may ask again, and may cancel what has not been told yet.
void Prober::lose(Id until) {
    while (!asked_.empty() && asked_.begin()->first < until) {
        auto node = asked_.extract(asked_.begin());
        node.mapped().answered({node.key(), ProberCode::lost, 0});
    }
}

void Prober::read_answers() {
    for (int count = 0; count < kAnswersAtOnce && channel_; ++count) {
        ProberAnswer answer{};
        const ssize_t got = recv(channel_.get(), &answer, sizeof answer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)) {
            return;  // what it has sent is still there
        }
        if (got == sizeof answer) {
            take(answer);
        }
        if (got != sizeof answer || !why_.empty()) {
            // It ends: the pidfd will say so. Until then this would be readable all the time.
            loop_.unwatch(channel_.get());
            return;
        }
    }
}

/// Questions are read in their order: what is known to be read never has to be looked at again. The end of a queue of
/// ours alone would not tell, as there may be newer ones in it.
void Prober::note_what_is_read() {
    int unread = 0;
    if (channel_ && waiting_.empty() && ioctl(channel_.get(), SIOCOUTQ, &unread) == 0 && unread == 0) {
        read_until_ = next_;
    }
}

void Prober::take(const ProberAnswer& answer) {
    if (--owed_ < 0 || answer.id >= next_) {
        end_it("the prober said what it was not asked, and was ended");
        return;
    }
    silent_ = 0;
    read_until_ = std::max(read_until_, answer.id + 1);
    if (answer.id == 0) {
        about_itself(answer);
        return;
    }
    const auto found = asked_.find(answer.id);
    if (found == asked_.end()) {
        return;  // cancelled
    }
    if (answer.code == ProberCode::udp_mismatch_so_far) {
        const Answered answered = found->second.answered;  // it may cancel
        answered(answer);
        return;
    }
    const auto node = asked_.extract(found);
    node.mapped().answered(answer);
}

void Prober::about_itself(const ProberAnswer& answer) {
    if (answer.code == ProberCode::cannot_execute) {
        why_ = errno_error(cat("cannot run '", spec_.path, "'"), answer.number).what;
    } else if (answer.code == ProberCode::cannot_cage) {
        why_ = errno_error("the prober cannot give its rights up", answer.number).what;
    } else if (answer.code == ProberCode::ready && answer.number != 0) {
        tell(cat("the prober runs without what this kernel lacks: ", lacking(answer.number)));
    }
}

Result<Prober::Id> Prober::ask(UniqueFd socket, const Question& question, Answered answered) {
    if (question.send.size() > kProberMaxSend || question.expect.size() > kProberMaxExpect) {
        return Error{EMSGSIZE, "the question is too long"};
    }
    if (auto status = prepare(); !status) {
        return std::move(status).error();
    }
    ProberQuestion head{};
    head.id = next_;
    head.limit_ms = static_cast<std::uint32_t>(std::clamp<Millis::rep>(question.limit.count(), 0, UINT32_MAX));
    head.kind = question.kind;
    head.send_size = static_cast<std::uint16_t>(question.send.size());
    head.expect_size = static_cast<std::uint16_t>(question.expect.size());
    Asked asked;
    const auto* bytes = reinterpret_cast<const char*>(&head);
    asked.message.assign(bytes, bytes + sizeof head);
    asked.message.insert(asked.message.end(), question.send.begin(), question.send.end());
    asked.message.insert(asked.message.end(), question.expect.begin(), question.expect.end());
    asked.socket = std::move(socket);
    asked.answered = std::move(answered);
    note_what_is_read();
    const Status status = waiting_.empty() ? send(asked) : Error{EAGAIN, "others wait as well"};
    if (!status && status.error().errno_code != EAGAIN) {
        return status.error();
    }
    if (!status) {
        waiting_.push_back(next_);
        if (auto watched = loop_.rewatch(channel_.get(), EPOLLIN | EPOLLOUT); !watched) {
            waiting_.pop_back();
            return std::move(watched).error();
        }
    }
    owed_ += kAnswersToOne;
    asked_.emplace(next_, std::move(asked));
    return next_++;
}

/// Hands the socket over: ours is closed. What is sent to a prober that has just ended is lost with it.
Status Prober::send(Asked& asked) const {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{asked.message.data(), asked.message.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = asked.socket.get();
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    if (sendmsg(channel_.get(), &header, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET) {
        return errno_error("cannot ask the prober");
    }
    asked.message = {};
    asked.socket.reset();
    return {};
}

void Prober::send_waiting() {
    while (!waiting_.empty()) {
        const Id id = waiting_.front();
        if (const auto found = asked_.find(id); found != asked_.end()) {
            const auto status = send(found->second);
            if (!status && status.error().errno_code == EAGAIN) {
                return;
            }
            if (!status) {
                take({id, ProberCode::lost, 0});
            }
        }
        // What was told may have ended the prober, and all with it.
        if (!waiting_.empty() && waiting_.front() == id) {
            waiting_.pop_front();
        }
    }
    if (channel_) {
        [[maybe_unused]] const auto ignored = loop_.rewatch(channel_.get(), EPOLLIN);
    }
}

void Prober::cancel(Id id) {
    const auto found = asked_.find(id);
    if (found == asked_.end()) {
        return;
    }
    const bool was_sent = !found->second.socket;
    asked_.erase(found);
    note_what_is_read();
    if (was_sent && channel_) {
        // Without room it is let go: the prober has the probe's time limit too.
        ProberQuestion head{};
        head.id = id;
        head.kind = ProberKind::cancel;
        [[maybe_unused]] const auto ignored = ::send(channel_.get(), &head, sizeof head, MSG_NOSIGNAL);
    }
}

bool Prober::give_up(Id id) {
    if (asked_.find(id) == asked_.end()) {
        return true;
    }
    cancel(id);
    const bool was_read = !channel_ || id < read_until_;
    if (!was_read && ++silent_ >= kPatience) {
        end_it("the prober did not read what it was asked, and was ended");
    }
    return was_read;
}

}  // namespace viscum
