// SPDX-License-Identifier: GPL-2.0-only
// HTTP for few readers: one thread, one request a connection, and a bound on everything that a stranger may take.
//
// At most kMostConnections: a further one takes the place of the one that has said least for longest, an answered one
// before that; streams stay, which are fewer. A head has kHeadTime to come as a whole, an answer kAnswerTime to be
// taken by the kernel and kLingerTime to be read, however small the steps: who sends or reads a byte a second is no
// better off. With its place a connection loses what the kernel still has for it. A stream (text/event-stream)
// that is not read gets no further event until it is, and is closed where that takes kStreamTime.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "controller/exporter/access.h"
#include "controller/exporter/http_request.h"

namespace viscum {

struct HttpReply {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body{};
    std::vector<std::string> headers{};  // "Name: value"
};

class HttpServer {
public:
    using Id = std::uint64_t;
    static constexpr std::size_t kMostConnections = 32;
    static constexpr std::size_t kMostStreams = 8;
    static_assert(kMostStreams < kMostConnections, "one that comes finds a place that is not a stream's");
    static constexpr Millis kHeadTime{5'000};
    static constexpr Millis kAnswerTime{10'000};
    static constexpr Millis kStreamTime{30'000};
    static constexpr Millis kLingerTime{10'000};

    /// `on_request` answers by reply() or stream(), now or later. What is no request is refused here.
    static Result<std::unique_ptr<HttpServer>> open(EventLoop& loop, const ListenAddress& address,
                                                    std::function<void(Id, const HttpRequest&)> on_request,
                                                    Millis head_time = kHeadTime);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Headers that every answer gets: "Name: value".
    void always_send(std::vector<std::string> headers) { always_ = std::move(headers); }
    /// Unknown ids are accepted: the reader is gone.
    void reply(Id id, const HttpReply& reply);
    /// Begins a stream; false where there are too many, and nothing was answered.
    bool stream(Id id);
    /// To all streams; one that has not read the event before is passed over.
    void send_event(const std::string& data);
    /// To one, as the first.
    void send_event(Id id, const std::string& data);
    /// Whether the reader is still there.
    [[nodiscard]] bool has(Id id) const { return connections_.contains(id); }
    [[nodiscard]] std::size_t streams() const;
    /// Connections that were closed for want of a place, since the start.
    [[nodiscard]] std::uint64_t turned_away() const { return turned_away_; }

private:
    struct Connection;
    HttpServer(EventLoop& loop, UniqueFd listener);
    void accept_connections();
    void pause_accepting();
    void add(UniqueFd fd);
    void make_room();
    void handle(Id id, std::uint32_t events);
    void read_head(Id id, Connection& connection);
    void drop_input(Id id, Connection& connection);
    void send_out(Id id, Connection& connection);
    void limit_time(Id id, Connection& connection, Millis time);
    void drop(Id id);

    EventLoop& loop_;
    UniqueFd listener_;
    std::function<void(Id, const HttpRequest&)> on_request_;
    std::vector<std::string> always_;
    std::map<Id, std::unique_ptr<Connection>> connections_;
    Id next_ = 1;
    Millis head_time_ = kHeadTime;
    EventLoop::TimerId resume_ = 0;
    std::uint64_t turned_away_ = 0;
};

}  // namespace viscum
