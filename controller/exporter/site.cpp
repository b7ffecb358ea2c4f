// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/site.h"

#include "base/text.h"
#include "controller/exporter/metrics.h"
#include "controller/exporter/page.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

constexpr Millis kTick{1'000};
static_assert(Source::kMostWaiting > HttpServer::kMostConnections, "each connection waits, and all streams once");
constexpr const char* kJson = "application/json";

/// Nothing of anybody else's is loaded, nobody frames the page, and what is not script is never run.
constexpr const char* kPolicy =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::vector<std::string> security_headers() {
    return {
        kPolicy,
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cross-Origin-Resource-Policy: same-origin",
        "Cache-Control: no-store",
    };
}

std::string away_json(const std::string& problem) {
    JsonOut error;
    error.field("message", cat("viscumd is away: ", problem));
    JsonOut out;
    out.member("error", std::move(error).text());
    return std::move(out).text();
}

HttpReply refusal(int status, std::string body) {
    HttpReply reply;
    reply.status = status;
    reply.body = std::move(body);
    return reply;
}

}  // namespace

Result<std::unique_ptr<Site>> Site::open(EventLoop& loop, Source& source, const ListenAddress& address,
                                         std::optional<std::string> token) {
    std::unique_ptr<Site> site(new Site(loop, source, std::move(token)));
    Site* self = site.get();
    auto server = HttpServer::open(
        loop, address, [self](HttpServer::Id id, const HttpRequest& request) { self->answer(id, request); });
    if (!server) {
        return std::move(server).error();
    }
    site->server_ = *std::move(server);
    site->server_->always_send(security_headers());
    return site;
}

Site::~Site() {
    loop_.cancel(timer_);
}

/// Whether it has been answered so.
bool Site::refused(HttpServer::Id id, const HttpRequest& request) {
    // With a token a name that leads here shows nothing to a page that does not know it.
    if (!token_ && !is_own_host(request.host)) {
        server_->reply(id, refusal(421, "ask for this machine by its address, or as localhost\n"));
        return true;
    }
    return false;
}

void Site::answer(HttpServer::Id id, const HttpRequest& request) {
    if (request.path == "/healthz") {
        server_->reply(id, {.body = "ok\n"});
        return;
    }
    if (refused(id, request) || answer_page(id, request)) {
        return;
    }
    const bool is_data =
        request.path == "/metrics" || request.path == "/api/v1/status" || request.path == "/api/v1/events";
    if (!is_data) {
        server_->reply(id, refusal(404, "there is /metrics, /api/v1/status, /healthz, and the page /\n"));
        return;
    }
    if (token_ && !shows_token(request, *token_)) {
        auto reply = refusal(401, "a token is needed: Authorization: Bearer TOKEN\n");
        reply.headers.emplace_back("WWW-Authenticate: Bearer");
        server_->reply(id, reply);
        return;
    }
    if (request.path == "/metrics") {
        answer_metrics(id, metrics_format(request.accept));
    } else if (request.path == "/api/v1/status") {
        answer_status(id);
    } else {
        begin_stream(id);
    }
}

bool Site::answer_page(HttpServer::Id id, const HttpRequest& request) {
    const auto file = page_file(request.path);
    if (!file) {
        return false;
    }
    HttpReply reply;
    reply.type = file->type;
    reply.body = file->text;
    server_->reply(id, reply);
    return true;
}

/// What is made for a connection that has gone by then would be made for nobody.
Source::Reader Site::reader(HttpServer::Id id, std::function<void(const Snapshot&)> take) const {
    return {[this, id] { return server_->has(id); }, std::move(take)};
}

void Site::answer_metrics(HttpServer::Id id, MetricsFormat format) {
    source_.get(reader(id, [this, id, format](const Snapshot& snapshot) {
        const ExporterFigures figures{source_.asked(), server_->turned_away(), server_->streams()};
        HttpReply reply;
        reply.type = content_type(format);
        reply.body = render_metrics(snapshot, figures, format);
        server_->reply(id, reply);
    }));
}

void Site::answer_status(HttpServer::Id id) {
    source_.get(reader(id, [this, id](const Snapshot& snapshot) {
        HttpReply reply;
        reply.type = kJson;
        reply.status = snapshot.report ? 200 : 503;
        reply.body = snapshot.report ? snapshot.json : away_json(snapshot.problem);
        reply.body += '\n';
        server_->reply(id, reply);
    }));
}

void Site::begin_stream(HttpServer::Id id) {
    if (!server_->stream(id)) {
        auto reply = refusal(503, "too many status pages are open\n");
        reply.headers.emplace_back("Retry-After: 5");
        server_->reply(id, reply);
        return;
    }
    source_.get(reader(id, [this, id](const Snapshot& snapshot) {
        server_->send_event(id, snapshot.report ? snapshot.json : away_json(snapshot.problem));
    }));
    if (timer_ == 0) {
        timer_ = loop_.after(kTick, [this] { tell_streams(); });
    }
}

/// Once a second while somebody looks; without pages nothing wakes up.
void Site::tell_streams() {
    timer_ = 0;
    if (server_->streams() == 0) {
        return;
    }
    timer_ = loop_.after(kTick, [this] { tell_streams(); });
    const auto tell = [this](const Snapshot& snapshot) {
        server_->send_event(snapshot.report ? snapshot.json : away_json(snapshot.problem));
    };
    source_.get({[this] { return server_->streams() > 0; }, tell});
}

}  // namespace viscum
