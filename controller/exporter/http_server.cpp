// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/http_server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/text.h"

namespace viscum {
namespace {

constexpr int kBacklog = 256;
constexpr int kSilentSeconds = 5;  // that the kernel keeps a connection to itself that says nothing
constexpr int kAcceptsPerTurn = 32;
constexpr Millis kAcceptPause{250};
constexpr std::size_t kMostLingering = 64 * 1024;  // bytes that are read and dropped behind an answer

const char* phrase(int status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 414: return "URI Too Long";
        case 421: return "Misdirected Request";
        case 431: return "Request Header Fields Too Large";
        case 501: return "Not Implemented";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "Error";
    }
}

std::string event_text(const std::string& data) {
    return cat("data: ", data, "\n\n");  // JSON of ours is one line
}

}  // namespace

struct HttpServer::Connection {
    enum class State { head, waits, answer, stream, lingers };
    UniqueFd fd;
    State state = State::head;
    bool body = true;  // GET
    std::string in;
    std::string out;
    std::size_t sent = 0;
    std::size_t dropped = 0;
    EventLoop::TimerId timer = 0;
};

HttpServer::HttpServer(EventLoop& loop, UniqueFd listener) : loop_(loop), listener_(std::move(listener)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::open(EventLoop& loop, const ListenAddress& address,
                                                     std::function<void(Id, const HttpRequest&)> on_request,
                                                     Millis head_time) {
    UniqueFd fd(socket(address.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    const int off = 0;
    if (fd && address.address.ss_family == AF_INET6) {
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    // Of whoever does not read its answer the kernel would keep it, beyond our bound on connections: a close gives it
    // up. Accepted sockets inherit this.
    constexpr linger kGiveUp{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &kGiveUp, sizeof kGiveUp);
    // Best effort: it keeps those who say nothing away, and those who ask need never wait for a place.
    setsockopt(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &kSilentSeconds, sizeof kSilentSeconds);
    if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.address), address.length) != 0 ||
        listen(fd.get(), kBacklog) != 0) {
        return errno_error("cannot listen");
    }
    std::unique_ptr<HttpServer> server(new HttpServer(loop, std::move(fd)));
    server->on_request_ = std::move(on_request);
    server->head_time_ = head_time;
    HttpServer* self = server.get();
    if (auto status = loop.watch(self->listener_.get(), Order::clients, EPOLLIN,
                                 [self](std::uint32_t) { self->accept_connections(); });
        !status) {
        return std::move(status).error();
    }
    return server;
}

HttpServer::~HttpServer() {
    loop_.cancel(resume_);
    loop_.unwatch(listener_.get());
    while (!connections_.empty()) {
        drop(connections_.begin()->first);
    }
}

void HttpServer::accept_connections() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
        UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                pause_accepting();
            }
            return;
        }
        if (connections_.size() >= kMostConnections) {
            ++turned_away_;
            make_room();
        }
        add(std::move(fd));
    }
}

void HttpServer::add(UniqueFd fd) {
    const Id id = next_++;
    auto connection = std::make_unique<Connection>();
    connection->fd = std::move(fd);
    if (loop_.watch(connection->fd.get(), Order::clients, EPOLLIN,
                    [this, id](std::uint32_t events) { handle(id, events); })) {
        limit_time(id, *connection, head_time_);
        Connection& added = *connections_.emplace(id, std::move(connection)).first->second;
        read_head(id, added);  // at once: a whole request needs no place that another could take
    }
}

// Ids grow, so the first of a kind has been here longest.
void HttpServer::make_room() {
    using State = Connection::State;
    for (const State state : {State::lingers, State::head, State::answer, State::waits}) {
        const auto found =
            std::ranges::find_if(connections_, [state](const auto& entry) { return entry.second->state == state; });
        if (found != connections_.end()) {
            return drop(found->first);
        }
    }
}

// The listener stays readable while accept fails: without a pause the loop would spin.
void HttpServer::pause_accepting() {
    if (loop_.rewatch(listener_.get(), 0)) {
        resume_ = loop_.after(kAcceptPause, [this] { (void)loop_.rewatch(listener_.get(), EPOLLIN); });
    }
}

void HttpServer::limit_time(Id id, Connection& connection, Millis time) {
    loop_.cancel(connection.timer);
    connection.timer = loop_.after(time, [this, id] {
        if (connections_.contains(id)) {
            drop(id);
        }
    });
}

void HttpServer::drop(Id id) {
    const auto found = connections_.find(id);
    const auto connection = std::move(found->second);
    connections_.erase(found);
    loop_.cancel(connection->timer);
    loop_.unwatch(connection->fd.get());
}

void HttpServer::handle(Id id, std::uint32_t events) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) {
        return;
    }
    Connection& connection = *found->second;
    if ((events & EPOLLERR) != 0 || (events & (EPOLLHUP | EPOLLIN)) == EPOLLHUP) {
        return drop(id);
    }
    if (connection.state == Connection::State::head) {
        return read_head(id, connection);
    }
    if ((events & EPOLLIN) != 0) {
        drop_input(id, connection);
    }
    if (connections_.contains(id) && (events & EPOLLOUT) != 0) {
        send_out(id, connection);
    }
}

void HttpServer::read_head(Id id, Connection& connection) {
    char chunk[4096];
    const auto got = recv(connection.fd.get(), chunk, sizeof chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)) {
        return;
    }
    if (got <= 0) {
        return drop(id);
    }
    connection.in.append(chunk, static_cast<std::size_t>(got));
    const auto end = head_end(connection.in);
    if (end == std::string::npos && connection.in.size() <= kLongestHead) {
        return;
    }
    const auto parsed = parse_head(std::string_view(connection.in).substr(0, end));
    connection.in = {};
    connection.state = Connection::State::waits;
    limit_time(id, connection, kAnswerTime);
    if (const auto* request = std::get_if<HttpRequest>(&parsed)) {
        connection.body = !request->head;
        on_request_(id, *request);
        return;
    }
    HttpReply refusal;
    refusal.status = std::get<HttpRefusal>(parsed).status;
    refusal.body = cat(phrase(refusal.status), "\n");
    if (refusal.status == 405) {
        refusal.headers.emplace_back("Allow: GET, HEAD");
    }
    reply(id, refusal);
}

// What comes behind a request means nothing, but unread it would make the kernel reset the connection as it is closed,
// and the answer be lost.
void HttpServer::drop_input(Id id, Connection& connection) {
    char chunk[4096];
    const auto got = recv(connection.fd.get(), chunk, sizeof chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    connection.dropped += got > 0 ? static_cast<std::size_t>(got) : 0;
    const bool ended = got == 0 && connection.state != Connection::State::lingers;
    if (ended && connection.state != Connection::State::stream) {
        // It has said all, and still reads.
        (void)loop_.rewatch(connection.fd.get(), connection.state == Connection::State::answer ? EPOLLOUT : 0U);
        return;
    }
    if (got <= 0 || connection.dropped > kMostLingering) {
        drop(id);
    }
}

void HttpServer::reply(Id id, const HttpReply& reply) {
    const auto found = connections_.find(id);
    if (found == connections_.end() || found->second->state != Connection::State::waits) {
        return;
    }
    Connection& connection = *found->second;
    std::string& out = connection.out;
    out = cat("HTTP/1.1 ", reply.status, ' ', phrase(reply.status),
              "\r\nConnection: close\r\nContent-Type: ", reply.type, "\r\nContent-Length: ", reply.body.size(), "\r\n");
    for (const std::vector<std::string>* lines : {&std::as_const(always_), &reply.headers}) {
        for (const auto& line : *lines) {
            out += cat(line, "\r\n");
        }
    }
    out += "\r\n";
    if (connection.body) {
        out += reply.body;
    }
    connection.state = Connection::State::answer;
    limit_time(id, connection, kAnswerTime);
    send_out(id, connection);
}

std::size_t HttpServer::streams() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        connections_, [](const auto& entry) { return entry.second->state == Connection::State::stream; }));
}

bool HttpServer::stream(Id id) {
    const auto found = connections_.find(id);
    if (found == connections_.end() || found->second->state != Connection::State::waits) {
        return true;
    }
    if (streams() >= kMostStreams) {
        return false;
    }
    Connection& connection = *found->second;
    connection.out = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n";
    for (const auto& line : always_) {
        connection.out += cat(line, "\r\n");
    }
    connection.out += "\r\n";
    connection.state = connection.body ? Connection::State::stream : Connection::State::answer;
    limit_time(id, connection, kStreamTime);
    send_out(id, connection);
    return true;
}

void HttpServer::send_event(const std::string& data) {
    const std::string text = event_text(data);
    std::vector<Id> readers;
    for (const auto& [id, connection] : connections_) {
        if (connection->state == Connection::State::stream && connection->out.empty()) {
            readers.push_back(id);
        }
    }
    for (const Id id : readers) {
        Connection& connection = *connections_.find(id)->second;
        connection.out = text;
        send_out(id, connection);
    }
}

void HttpServer::send_event(Id id, const std::string& data) {
    const auto found = connections_.find(id);
    if (found != connections_.end() && found->second->state == Connection::State::stream) {
        found->second->out += event_text(data);
        send_out(id, *found->second);
    }
}

void HttpServer::send_out(Id id, Connection& connection) {
    while (connection.sent < connection.out.size()) {
        const auto left = std::string_view(connection.out).substr(connection.sent);
        const auto sent = send(connection.fd.get(), left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)) {
            (void)loop_.rewatch(connection.fd.get(), EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0) {
            return drop(id);
        }
        connection.sent += static_cast<std::size_t>(sent);
    }
    connection.out = {};
    connection.sent = 0;
    (void)loop_.rewatch(connection.fd.get(), EPOLLIN);
    if (connection.state == Connection::State::stream) {
        limit_time(id, connection, kStreamTime);
    } else if (connection.state == Connection::State::answer) {
        connection.state = Connection::State::lingers;
        shutdown(connection.fd.get(), SHUT_WR);
        limit_time(id, connection, kLingerTime);
    }
}

}  // namespace viscum
