// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>

#include "base/text.h"
#include "controller/supervise/health.h"
#include "controller/supervise/prober.h"
#include "controller/supervise/process.h"
#include "controller/supervise/run_directory.h"

namespace viscum {
namespace {

using Done = std::function<void(const ProbeResult&)>;

ProbeResult healthy() {
    return {true, false, ""};
}

ProbeResult failure(std::string reason) {
    return {false, false, std::move(reason)};
}

ProbeResult not_asked(std::string reason) {
    ProbeResult result = failure(std::move(reason));
    result.asked = false;
    return result;
}

ProbeResult socket_failure(int code) {
    if (code == ECONNREFUSED) {
        return {false, true, "connection refused"};
    }
    std::string reason = std::strerror(code);
    reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
    return failure(std::move(reason));
}

/// What all probes share: the deadline, and that `done` is called once, from the loop. Whoever calls finish() does
/// nothing after it: `done` may destroy the probe.
class TimedProbe : public Probe {
public:
    TimedProbe(EventLoop& loop, Millis timeout, Done done)
        : loop_(loop), done_(std::move(done)), limit_(boot_now() + timeout) {
        timer_ = loop_.at(limit_, [this, timeout] { finish(late(timeout)); });
    }
    TimedProbe(const TimedProbe&) = delete;
    TimedProbe& operator=(const TimedProbe&) = delete;
    ~TimedProbe() override { loop_.cancel(timer_); }

protected:
    [[nodiscard]] EventLoop& loop() { return loop_; }

    void finish(const ProbeResult& result) {
        const Done done = std::move(done_);
        loop_.cancel(timer_);
        release();
        done(result);
    }
    /// As finish(), in a later turn: for what is known when the probe starts, and for a last grace.
    void finish_after(Millis delay, ProbeResult result) {
        loop_.cancel(timer_);
        timer_ = loop_.at(std::min(boot_now() + delay, limit_), [this, result = std::move(result)] { finish(result); });
    }
    /// The reason where the time is up.
    virtual ProbeResult late(Millis timeout) { return failure(cat("no answer within ", format_duration(timeout))); }
    /// Gives back what waits for an answer.
    virtual void release() {}

private:
    EventLoop& loop_;
    Done done_;
    BootTime limit_;
    EventLoop::TimerId timer_ = 0;
};

/// The process probe: that the process runs is known by its pidfd, and here, that it is the service's program by now.
class ProcessProbing final : public TimedProbe {
public:
    ProcessProbing(const ProbeContext& context, Done done)
        : TimedProbe(context.loop, Millis(0), std::move(done)), run_dir_(context.run_dir) {}

private:
    ProbeResult late(Millis) override {
        return sandbox_stands(run_dir_) ? healthy() : ProbeResult{false, true, "its program is not executed yet"};
    }

    std::string run_dir_;
};

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    SocketAddress(const IpAddress& address, std::uint16_t port) {
        if (address.is_v4()) {
            sockaddr_in v4{};
            v4.sin_family = AF_INET;
            v4.sin_port = htons(port);
            std::memcpy(&v4.sin_addr, address.wire(), sizeof v4.sin_addr);
            std::memcpy(&storage, &v4, length = sizeof v4);
        } else {
            sockaddr_in6 v6{};
            v6.sin6_family = AF_INET6;
            v6.sin6_port = htons(port);
            std::memcpy(&v6.sin6_addr, address.wire(), sizeof v6.sin6_addr);
            std::memcpy(&storage, &v6, length = sizeof v6);
        }
    }
};

/// A socket of the namespace on which connect(2) was called.
struct Connecting {
    UniqueFd socket;
    std::optional<ProbeResult> failed;  // then there is none
};

Connecting connect_in(const ProbeContext& context, int type, const IpAddress& target, std::uint16_t port) {
    const SocketAddress address(target, port);
    Connecting out;
    const auto created = context.ns.inside(context.home, [&]() -> Status {
        out.socket = UniqueFd(::socket(address.storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        return out.socket ? Status() : errno_error("cannot create a socket");
    });
    if (!created) {
        out.failed = not_asked(created.error().what);
        return out;
    }
    if (type == SOCK_STREAM) {
        // The handshake's last segment waits for the request or the end, which follows at once: so the service wakes up
        // once, not twice. Where nothing follows, the kernel sends it after 200 ms at most.
        const int off = 0;
        setsockopt(out.socket.get(), IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
    }
    if (::connect(out.socket.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 &&
        errno != EINPROGRESS) {
        out.failed = socket_failure(errno);
    }
    return out;
}

/// Connects and closes. An ordinary close (FIN): the service reads an end of file, as from any client that changed its
/// mind, where a reset would turn up in its log and, before accept(2), in calls that services do not expect to fail.
/// The price is one time-wait socket a probe, on our side of a connection within the namespace.
class TcpProbing final : public TimedProbe {
public:
    using TimedProbe::TimedProbe;
    ~TcpProbing() override { release_socket(); }

    void start(Connecting connecting) {
        if (connecting.failed) {
            finish_after(Millis(0), *std::move(connecting.failed));
            return;
        }
        socket_ = std::move(connecting.socket);
        const auto watched = loop().watch(socket_.get(), Order::clients, EPOLLOUT, [this](std::uint32_t) { ready(); });
        if (!watched) {
            finish_after(Millis(0), not_asked(watched.error().what));
        }
    }

private:
    void ready() {
        int code = 0;
        socklen_t size = sizeof code;
        getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &size);
        finish(code != 0 ? socket_failure(code) : healthy());
    }

    void release() override { release_socket(); }
    void release_socket() {
        if (socket_) {
            loop().unwatch(socket_.get());
            socket_.reset();
        }
    }

    UniqueFd socket_;
};

ProbeResult mismatch() {
    return failure("the answer does not contain what is expected");
}

/// The prober asks; here its code and its number become a sentence.
class AskedProbe final : public TimedProbe {
public:
    AskedProbe(const ProbeContext& context, Millis timeout, Done done, int expect)
        : TimedProbe(context.loop, timeout, std::move(done)), prober_(context.prober), expect_(expect) {}
    ~AskedProbe() override { prober_.cancel(id_); }

    void start(Connecting connecting, const Prober::Question& question) {
        if (connecting.failed) {
            finish_after(Millis(0), *std::move(connecting.failed));
            return;
        }
        auto asked = prober_.ask(std::move(connecting.socket), question,
                                 [this](const ProberAnswer& answer) { answered(answer); });
        if (!asked) {
            finish_after(Millis(0), not_asked(asked.error().what));
            return;
        }
        id_ = *asked;
    }

private:
    void answered(const ProberAnswer& answer) {
        if (answer.code == ProberCode::udp_mismatch_so_far) {
            is_mismatch_ = true;
        } else {
            finish(result_of(answer));
        }
    }

    [[nodiscard]] ProbeResult result_of(const ProberAnswer& answer) const {
        switch (answer.code) {
            case ProberCode::udp_match: return healthy();
            case ProberCode::http_status:
                return answer.number == expect_ ? healthy()
                                                : failure(cat("status ", answer.number, " instead of ", expect_));
            case ProberCode::not_http: return failure("no HTTP/1 status line");
            case ProberCode::http_too_long:
                return failure(cat("no HTTP status in the first ", kProberMaxHttpHead, " bytes"));
            case ProberCode::closed_early: return failure("connection closed before an HTTP status came");
            case ProberCode::udp_mismatch: return mismatch();
            case ProberCode::socket_error: return socket_failure(answer.number);
            case ProberCode::question_too_long: return failure("the request does not fit into the socket");
            case ProberCode::busy: return not_asked("too many probes are under way");
            case ProberCode::lost: return not_asked("the prober ended");
            default: return not_asked("the prober's answer is not one");
        }
    }

    ProbeResult late(Millis timeout) override {
        if (!prober_.give_up(id_)) {
            return not_asked("the prober does not answer");
        }
        return is_mismatch_ ? mismatch() : TimedProbe::late(timeout);
    }

    Prober& prober_;
    Prober::Id id_ = 0;
    int expect_;
    bool is_mismatch_ = false;
};

std::string http_request(const HttpProbe& spec, const IpAddress& target) {
    std::string host = spec.host;
    if (host.empty()) {
        host = target.is_v4() ? target.text() : cat("[", target.text(), "]");
        host += spec.port == 80 ? "" : cat(":", spec.port);
    }
    return cat("GET ", spec.path, " HTTP/1.1\r\nHost: ", host,
               "\r\nUser-Agent: viscum-health\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

class ExecProbing final : public TimedProbe {
public:
    using TimedProbe::TimedProbe;
    ~ExecProbing() override { give_up(); }

    void start(const ProbeContext& context, const ExecProbe& spec) {
        ending_ = context.ending;
        if (ending_ && *ending_ > 0) {
            finish_after(Millis(0), failure("the health command before has not ended"));
            return;
        }
        EnterSpec command;
        command.wait = false;
        command.shim_path = context.shim_path;
        command.run_dir = context.run_dir;
        command.command = spec.command;
        auto entered = enter(command);
        if (!entered) {
            const Error& error = entered.error();
            finish_after(Millis(0), is_our_fault(error.errno_code) ? not_asked(error.what) : failure(error.what));
            return;
        }
        process_.emplace(*std::move(entered));
        const auto watched =
            loop().watch(process_->pidfd(), Order::children, EPOLLIN, [this](std::uint32_t) { ended(); });
        if (!watched) {
            finish_after(Millis(0), not_asked(watched.error().what));
        }
    }

private:
    /// Too little of something that the machine has, not the service.
    static bool is_our_fault(int code) { return code == EMFILE || code == ENFILE || code == ENOMEM || code == EAGAIN; }

    void ended() {
        loop().unwatch(process_->pidfd());
        kill_group();  // what it left behind, while its pid is still its own
        ExitStatus status = process_->reap();
        const auto why = process_->why_not_run();
        process_.reset();
        if (why) {
            finish(is_our_fault(why->errno_code) ? not_asked(why->what) : failure(why->what));
            return;
        }
        if (status.kind == ExitStatus::Kind::exited && status.value > kSignaled) {
            status = {ExitStatus::Kind::signaled, status.value - kSignaled, ""};
        }
        finish(status.success()
                   ? healthy()
                   : failure(cat("the health command ", status.kind == ExitStatus::Kind::signaled ? "was " : "",
                                 status.describe())));
    }

    void kill_group() const {
        ::kill(-process_->pid(), SIGKILL);
        [[maybe_unused]] const auto status = process_->kill();  // it may not lead its group yet
    }

    /// The kernel takes a moment to end a process: its reaping is left to the loop.
    void give_up() {
        if (!process_) {
            return;
        }
        loop().unwatch(process_->pidfd());
        kill_group();
        const auto dying = std::make_shared<Process>(*std::move(process_));
        process_.reset();
        EventLoop& where = loop();
        const auto watched =
            where.watch(dying->pidfd(), Order::children, EPOLLIN, [&where, dying, ending = ending_](std::uint32_t) {
                [[maybe_unused]] const auto status = dying->reap();
                if (ending) {
                    --*ending;
                }
                where.unwatch(dying->pidfd());
            });
        if (watched && ending_) {
            ++*ending_;
        }
    }

    void release() override { give_up(); }

    static constexpr int kSignaled = 128;  // enter(): 128 + N where a signal ended the command
    std::optional<Process> process_;
    std::shared_ptr<int> ending_;
};

}  // namespace

std::unique_ptr<Probe> start_probe(const ProbeContext& context, const HealthSpec& spec, const IpAddress& target,
                                   std::function<void(const ProbeResult&)> done) {
    if (const auto* tcp = std::get_if<TcpProbe>(&spec.probe)) {
        auto probe = std::make_unique<TcpProbing>(context.loop, spec.timeout, std::move(done));
        probe->start(connect_in(context, SOCK_STREAM, target, tcp->port));
        return probe;
    }
    if (const auto* http = std::get_if<HttpProbe>(&spec.probe)) {
        auto probe = std::make_unique<AskedProbe>(context, spec.timeout, std::move(done), http->expect);
        const std::string request = http_request(*http, target);
        probe->start(connect_in(context, SOCK_STREAM, target, http->port),
                     {ProberKind::http, request, "", spec.timeout});
        return probe;
    }
    if (const auto* udp = std::get_if<UdpProbe>(&spec.probe)) {
        auto probe = std::make_unique<AskedProbe>(context, spec.timeout, std::move(done), 0);
        probe->start(connect_in(context, SOCK_DGRAM, target, udp->port),
                     {ProberKind::udp, udp->send, udp->expect, spec.timeout});
        return probe;
    }
    if (const auto* exec = std::get_if<ExecProbe>(&spec.probe)) {
        auto probe = std::make_unique<ExecProbing>(context.loop, spec.timeout, std::move(done));
        probe->start(context, *exec);
        return probe;
    }
    return std::make_unique<ProcessProbing>(context, std::move(done));
}

}  // namespace viscum
