// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>

#include "base/text.h"
#include "controller/supervise/health.h"
#include "controller/supervise/process.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxAnswer = 65536;
/// How long a final HTTP status waits for the rest of the answer. Closing a socket that holds unread bytes sends a
/// reset, which services log as an error; nearly all send the rest in the same instant.
constexpr Millis kRestOfAnswer{10};

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

/// The process probe: the daemon knows by the pidfd that the process runs.
class InstantProbe final : public TimedProbe {
public:
    InstantProbe(EventLoop& loop, Done done) : TimedProbe(loop, Millis(0), std::move(done)) {}

private:
    ProbeResult late(Millis) override { return healthy(); }
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

/// A connected socket in the namespace, of either type.
class SocketProbe : public TimedProbe {
public:
    using TimedProbe::TimedProbe;
    ~SocketProbe() override { release_socket(); }

    void start(const NetNs& ns, int type, const IpAddress& target, std::uint16_t port) {
        const SocketAddress address(target, port);
        const auto created = ns.inside([&]() -> Status {
            socket_ = UniqueFd(::socket(address.storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            return socket_ ? Status() : errno_error("cannot create a socket");
        });
        if (!created) {
            finish_after(Millis(0), not_asked(created.error().what));
            return;
        }
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 &&
            errno != EINPROGRESS) {
            finish_after(Millis(0), socket_failure(errno));
            return;
        }
        const auto watched = loop().watch(socket_.get(), Order::clients, EPOLLOUT, [this](std::uint32_t) { ready(); });
        if (!watched) {
            finish_after(Millis(0), not_asked(watched.error().what));
        }
    }

protected:
    /// The socket is connected. Returns a result to finish with, or nothing to read the answer.
    virtual std::optional<ProbeResult> connected() = 0;
    /// The socket is readable.
    virtual void readable() {}
    [[nodiscard]] int socket() const { return socket_.get(); }

    std::optional<ProbeResult> send_all(std::string_view bytes) {
        // The send buffer of a fresh socket holds it; what does not fit there is no request for a health probe.
        const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) {
            return socket_failure(errno);
        }
        if (static_cast<std::size_t>(sent) != bytes.size()) {
            return failure("the request does not fit into the socket");
        }
        return std::nullopt;
    }

private:
    void ready() {
        if (is_connected_) {
            readable();
            return;
        }
        int code = 0;
        socklen_t size = sizeof code;
        getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &size);
        std::optional<ProbeResult> result = code != 0 ? socket_failure(code) : connected();
        if (!result) {
            is_connected_ = true;
            if (const auto status = loop().rewatch(socket_.get(), EPOLLIN); !status) {
                result = failure(status.error().what);
            }
        }
        if (result) {
            finish(*result);
        }
    }

    void release() override { release_socket(); }
    void release_socket() {
        if (socket_) {
            loop().unwatch(socket_.get());
            socket_.reset();
        }
    }

    UniqueFd socket_;
    bool is_connected_ = false;
};

/// Connects and closes. An ordinary close (FIN): the service reads an end of file, as from any client that changed its
/// mind, where a reset would turn up in its log and, before accept(2), in calls that services do not expect to fail.
/// The price is one time-wait socket a probe, on our side of a connection within the namespace.
class TcpProber final : public SocketProbe {
public:
    using SocketProbe::SocketProbe;

private:
    std::optional<ProbeResult> connected() override { return healthy(); }
};

class HttpProber final : public SocketProbe {
public:
    HttpProber(EventLoop& loop, Millis timeout, Done done, const HttpProbe& spec, const IpAddress& target)
        : SocketProbe(loop, timeout, std::move(done)), spec_(spec), host_(spec.host) {
        if (host_.empty()) {
            host_ = target.is_v4() ? target.text() : cat("[", target.text(), "]");
            host_ += spec.port == 80 ? "" : cat(":", spec.port);
        }
    }

private:
    std::optional<ProbeResult> connected() override {
        return send_all(cat("GET ", spec_.path, " HTTP/1.1\r\nHost: ", host_,
                            "\r\nUser-Agent: viscum-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"));
    }

    void readable() override {
        char bytes[4096];
        const ssize_t got = ::recv(socket(), bytes, sizeof bytes, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got > 0) {
            seen_ += static_cast<std::size_t>(got);
            feed(std::string_view(bytes, static_cast<std::size_t>(got)));
            return;
        }
        if (status_known()) {
            finish(verdict());
        } else {
            finish(got < 0 ? socket_failure(errno) : failure("connection closed before an HTTP status came"));
        }
    }

    void feed(std::string_view bytes) {
        const bool knew = status_known();
        if (reader_.feed(bytes) == HttpStatusReader::State::bad) {
            finish(failure(reader_.why()));
        } else if (seen_ >= kMaxAnswer) {
            finish(verdict());  // known: the reader gives up long before
        } else if (status_known() && !knew) {
            finish_after(kRestOfAnswer, verdict());
        }
    }

    bool status_known() { return reader_.feed("") == HttpStatusReader::State::done; }

    ProbeResult verdict() {
        if (reader_.status() == spec_.expect) {
            return healthy();
        }
        return failure(cat("status ", reader_.status(), " instead of ", spec_.expect));
    }

    HttpProbe spec_;
    std::string host_;
    HttpStatusReader reader_;
    std::size_t seen_ = 0;
};

class UdpProber final : public SocketProbe {
public:
    UdpProber(EventLoop& loop, Millis timeout, Done done, const UdpProbe& spec)
        : SocketProbe(loop, timeout, std::move(done)), spec_(spec) {}

private:
    std::optional<ProbeResult> connected() override { return send_all(spec_.send); }

    void readable() override {
        buffer_.resize(kMaxAnswer);
        const ssize_t got = ::recv(socket(), buffer_.data(), buffer_.size(), 0);
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                finish(socket_failure(errno));
            }
            return;
        }
        const std::string_view datagram(buffer_.data(), static_cast<std::size_t>(got));
        seen_ += datagram.size() + 1;  // empty ones count as well
        if (datagram.find(spec_.expect) != std::string_view::npos) {
            finish(healthy());
        } else if (seen_ >= kMaxAnswer) {
            finish(unexpected());
        }
    }

    ProbeResult late(Millis timeout) override { return seen_ > 0 ? unexpected() : TimedProbe::late(timeout); }
    static ProbeResult unexpected() { return failure("the answer does not contain what is expected"); }

    UdpProbe spec_;
    std::string buffer_;
    std::size_t seen_ = 0;
};

class ExecProber final : public TimedProbe {
public:
    using TimedProbe::TimedProbe;
    ~ExecProber() override { give_up(); }

    void start(const NetNs& ns, const ExecProbe& spec, const RunSpec& run) {
        ChildSpec child;
        child.command = spec.command;
        child.user = run.user;
        child.env = run.env;
        auto spawned = spawn_in(child, ns);
        if (!spawned) {
            finish_after(Millis(0), failure(spawned.error().what));
            return;
        }
        process_.emplace(*std::move(spawned));
        const auto watched =
            loop().watch(process_->pidfd(), Order::children, EPOLLIN, [this](std::uint32_t) { ended(); });
        if (!watched) {
            finish_after(Millis(0), failure(watched.error().what));
        }
    }

private:
    void ended() {
        loop().unwatch(process_->pidfd());
        kill_group();  // what it left behind, while its pid is still its own
        const ExitStatus status = process_->reap();
        process_.reset();
        finish(status.success() ? healthy() : failure(status.describe()));
    }

    void kill_group() const { ::kill(-process_->pid(), SIGKILL); }

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
        [[maybe_unused]] const auto watched =
            where.watch(dying->pidfd(), Order::children, EPOLLIN, [&where, dying](std::uint32_t) {
                [[maybe_unused]] const auto status = dying->reap();
                where.unwatch(dying->pidfd());
            });
    }

    void release() override { give_up(); }

    std::optional<Process> process_;
};

}  // namespace

std::unique_ptr<Probe> start_probe(EventLoop& loop, const NetNs& ns, const HealthSpec& spec, const RunSpec& run,
                                   const IpAddress& target, std::function<void(const ProbeResult&)> done) {
    if (const auto* tcp = std::get_if<TcpProbe>(&spec.probe)) {
        auto probe = std::make_unique<TcpProber>(loop, spec.timeout, std::move(done));
        probe->start(ns, SOCK_STREAM, target, tcp->port);
        return probe;
    }
    if (const auto* http = std::get_if<HttpProbe>(&spec.probe)) {
        auto probe = std::make_unique<HttpProber>(loop, spec.timeout, std::move(done), *http, target);
        probe->start(ns, SOCK_STREAM, target, http->port);
        return probe;
    }
    if (const auto* udp = std::get_if<UdpProbe>(&spec.probe)) {
        auto probe = std::make_unique<UdpProber>(loop, spec.timeout, std::move(done), *udp);
        probe->start(ns, SOCK_DGRAM, target, udp->port);
        return probe;
    }
    if (const auto* exec = std::get_if<ExecProbe>(&spec.probe)) {
        auto probe = std::make_unique<ExecProber>(loop, spec.timeout, std::move(done));
        probe->start(ns, *exec, run);
        return probe;
    }
    return std::make_unique<InstantProbe>(loop, std::move(done));
}

}  // namespace viscum
