// SPDX-License-Identifier: GPL-2.0-only
// What is where: /metrics, /api/v1/status, /api/v1/events, /healthz, and the status page.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/exporter/http_server.h"
#include "controller/exporter/metrics.h"
#include "controller/exporter/source.h"

namespace viscum {

class Site {
public:
    /// With a token: /metrics and /api are for those who show it. Without: for whoever asks for this machine by
    /// address or as localhost.
    static Result<std::unique_ptr<Site>> open(EventLoop& loop, Source& source, const ListenAddress& address,
                                              std::optional<std::string> token);
    ~Site();
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

private:
    Site(EventLoop& loop, Source& source, std::optional<std::string> token)
        : loop_(loop), source_(source), token_(std::move(token)) {}
    void answer(HttpServer::Id id, const HttpRequest& request);
    bool refused(HttpServer::Id id, const HttpRequest& request);
    bool answer_page(HttpServer::Id id, const HttpRequest& request);
    [[nodiscard]] Source::Reader reader(HttpServer::Id id, std::function<void(const Snapshot&)> take) const;
    void answer_metrics(HttpServer::Id id, MetricsFormat format);
    void answer_status(HttpServer::Id id);
    void begin_stream(HttpServer::Id id);
    void tell_streams();

    EventLoop& loop_;
    Source& source_;
    std::optional<std::string> token_;
    std::unique_ptr<HttpServer> server_;
    EventLoop::TimerId timer_ = 0;  // while a stream is open
};

}  // namespace viscum
