// SPDX-License-Identifier: GPL-2.0-only
// The exporter against a real viscumd: figures through a real fail-over, and who may read them.
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/file.h"
#include "tests/exporter/as_account.h"
#include "tests/exporter/exporter.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr std::size_t kMost = 1024 * 1024;

std::string write_token(const std::string& token) {
    const std::string path = "/tmp/viscum-token";
    REQUIRE(write_file_atomically(path, token + "\n", 0640));
    return path;
}

/// The names of all families in a text of metrics of the classic format.
std::set<std::string> families(const std::string& text) {
    std::set<std::string> names;
    for (const auto& line : split(text, '\n')) {
        if (line.starts_with("# TYPE ")) {
            names.insert(split(line, ' ')[2]);
        }
    }
    return names;
}

}  // namespace

TEST_CASE("exporter: the figures follow a fail-over, and promtool has nothing to say") {
    const auto scene = scene_with_observers();
    scene->deploy(web_service());
    const Exporter exporter(*scene);
    CHECK(scene->web() == "local");
    CHECK(exporter.metric("viscum_up") == 1);
    const std::string serves = R"(viscum_service_admission{service="web",admission="serve"})";
    CHECK(eventually(kLimit, [&] { return exporter.metric(serves) == 1; }));
    CHECK(eventually(kLimit, [&] {
        return exporter.metric(R"(viscum_claim_flows_total{service="web",claim="203.0.113.10:80/tcp"})").value_or(0) >=
               1;
    }));
    CHECK(exporter.metric(R"(viscum_service_failover_seconds_count{service="web"})") == 0);
    CHECK(exporter.metric(R"(viscum_service_uplink_saved_bytes_total{service="web"})").value_or(0) > 100);
    scene->signal_service("web", SIGSTOP);
    CHECK(eventually(kLimit, [&] { return exporter.metric(serves) == 0; }));
    CHECK(scene->web() == "cloud");
    const std::string text = exporter.get("/metrics").body;
    CHECK(sample_in(text, R"(viscum_service_failover_seconds_count{service="web"})") == 1);
    CHECK(sample_in(text, R"(viscum_service_given_back_total{service="web",reason="unhealthy"})") == 1);
    CHECK(sample_in(text, R"(viscum_service_health{service="web",health="unhealthy"})") == 1);
    scene->signal_service("web", SIGCONT);
    CHECK(eventually(kLimit, [&] { return exporter.metric(serves) == 1; }));
    CHECK(text.find("10.77.") == std::string::npos);  // no client's address
    if (!run({"promtool", "--version"}).success()) {
        skip("promtool (Debian: prometheus) is not installed");
        return;
    }
    const RunOutput lint = run({"promtool", "check", "metrics"}, {.input = exporter.get("/metrics").body});
    CHECK_MESSAGE(lint.success(), lint.out, lint.err);
    CHECK_MESSAGE((lint.out + lint.err).empty(), lint.out, lint.err);
}

TEST_CASE("exporter: it has its own account, no capability, no way to new privileges, and a filter") {
    const auto scene = scene_with_observers();
    const Exporter exporter(*scene);
    CHECK(exporter.get("/metrics").status == 200);  // all that it does, behind the filter
    const auto status = read_file(cat("/proc/", exporter.pid(), "/status"), kMost);
    REQUIRE(status);
    const auto line = [&status](const std::string& name) {
        const auto at = status->find(cat("\n", name, ":\t"));
        return at == std::string::npos ? "" : status->substr(at + 1, status->find('\n', at + 1) - at - 1);
    };
    CHECK(line("Uid") == cat("Uid:\t", kObserver, "\t", kObserver, "\t", kObserver, "\t", kObserver));
    CHECK(line("Gid") == cat("Gid:\t", kObserver, "\t", kObserver, "\t", kObserver, "\t", kObserver));
    CHECK(split(line("Groups"), ' ')[0] == "Groups:\t");
    CHECK(line("CapEff") == "CapEff:\t0000000000000000");
    CHECK(line("NoNewPrivs") == "NoNewPrivs:\t1");
    CHECK(line("Seccomp") == "Seccomp:\t2");
    CHECK(line("Threads") == "Threads:\t1");
}

TEST_CASE("exporter: while viscumd is away that is said at once, and when it hangs, soon") {
    const auto scene = scene_with_observers();
    const Exporter exporter(*scene);
    CHECK(eventually(kLimit, [&] { return exporter.metric("viscum_up") == 1; }));
    must(scene->viscumd().pause());
    CHECK(eventually(kLimit, [&] { return exporter.metric("viscum_up") == 0; }));
    CHECK(exporter.get("/api/v1/status").status == 503);
    must(scene->viscumd().resume());
    CHECK(eventually(kLimit, [&] { return exporter.metric("viscum_up") == 1; }));
    scene->viscumd().kill();
    CHECK(eventually(kLimit, [&] { return exporter.metric("viscum_up") == 0; }));
    CHECK(exporter.get("/").status == 200);
    CHECK(exporter.get("/healthz").status == 200);
    must(scene->viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return exporter.metric("viscum_up") == 1; }));
}

TEST_CASE("exporter: viscumd is asked once a second at most, whoever reads") {
    const auto scene = scene_with_observers();
    const Exporter exporter(*scene);
    const BootTime begin = boot_now();
    const double before = exporter.metric("viscum_exporter_reports_total").value_or(0);
    for (int number = 0; number < 300; ++number) {
        CHECK(exporter.get(number % 2 == 0 ? "/metrics" : "/api/v1/status").status == 200);
    }
    const double asked = exporter.metric("viscum_exporter_reports_total").value_or(1e9) - before;
    CHECK(asked <= 1 + std::chrono::duration<double>(boot_now() - begin).count());
}

TEST_CASE("exporter: the report is the one that viscumctl shows") {
    const auto scene = scene_with_observers();
    scene->deploy(web_service());
    const Exporter exporter(*scene);
    const auto report = daemon_report_from_json(exporter.get("/api/v1/status").body);
    REQUIRE(report);
    CHECK(report->services.at(0).name == "web");
    CHECK(report->pid == scene->report().pid);
}

TEST_CASE("exporter: a page of somebody else's whose name leads here reads nothing") {
    const auto scene = scene_with_observers();
    const Exporter exporter(*scene);
    for (const auto* path : {"/metrics", "/api/v1/status", "/api/v1/events", "/"}) {
        CAPTURE(path);
        CHECK(exporter.get(path, "", "evil.example:9477").status == 421);
    }
    CHECK(exporter.get("/metrics", "", "localhost:9477").status == 200);
    CHECK(exporter.get("/none").status == 404);
    const std::string head = exporter.get("/").head;
    CHECK(head.find("Content-Security-Policy: default-src 'none'") != std::string::npos);
    CHECK(head.find("unsafe") == std::string::npos);
    CHECK(head.find("X-Content-Type-Options: nosniff") != std::string::npos);
    CHECK(head.find("Access-Control-Allow") == std::string::npos);
}

TEST_CASE("exporter: from outside only with a token, and the token is in no log") {
    const auto scene = scene_with_observers();
    const std::string token = "a-token-of-more-than-16-letters";
    const auto start = [&](const Argv& more) {
        Argv argv{Exporter::kProgram};
        argv.insert(argv.end(), more.begin(), more.end());
        return run(argv, {.ns = &scene->bed().hotspot()});
    };
    CHECK(start({"--listen", "0.0.0.0:9477"}).status == 2);
    CHECK(start({"--listen", "10.77.0.1:9477"}).status == 2);
    CHECK(start({"--listen", "[::]:9477"}).status == 2);
    const std::string path = write_token(token);
    REQUIRE(chmod(path.c_str(), 0644) == 0);
    CHECK(start({"--listen", "0.0.0.0:9477", "--token-file", path}).status == 2);
    REQUIRE(chmod(path.c_str(), 0640) == 0);
    const Exporter exporter(*scene, {"--listen", "0.0.0.0:9477", "--token-file", path});
    for (const auto* data : {"/metrics", "/api/v1/status", "/api/v1/events"}) {
        CAPTURE(data);
        CHECK(exporter.get(data).status == 401);
        CHECK(exporter.get(data, "Authorization: Bearer a-token-of-more-than-16-letterS\r\n").status == 401);
        CHECK(exporter.get(cat(data, "?token=", token)).status == 401);
    }
    CHECK(exporter.get("/metrics", cat("Authorization: Bearer ", token, "\r\n")).status == 200);
    CHECK(exporter.get("/").status == 200);
    CHECK(exporter.get("/").body.find(token) == std::string::npos);
    CHECK(Exporter::log().find(token) == std::string::npos);
}

TEST_CASE("exporter: the stream tells of a fail-over by itself") {
    const auto scene = scene_with_observers();
    scene->deploy(web_service());
    const Exporter exporter(*scene);
    const UniqueFd fd = exporter.connect();
    REQUIRE(wait_for_socket(fd.get(), POLLOUT, boot_now() + kLimit));
    const std::string ask = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    REQUIRE(send(fd.get(), ask.data(), ask.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(ask.size()));
    std::string text;
    const auto said = [&](const std::string& words) {
        return eventually(kLimit, [&] {
            char chunk[65536];
            for (ssize_t got = 0; (got = recv(fd.get(), chunk, sizeof chunk, MSG_DONTWAIT)) > 0;) {
                text.append(chunk, static_cast<std::size_t>(got));
            }
            return text.find(words) != std::string::npos;
        });
    };
    CHECK(said("Content-Type: text/event-stream\r\n"));
    CHECK(said("\r\n\r\ndata: {\"instance\":\"viscum\""));
    CHECK(said(R"("health":"healthy")"));
    scene->signal_service("web", SIGSTOP);
    CHECK(said(R"("health":"unhealthy")"));
    scene->viscumd().kill();
    CHECK(said("data: {\"error\""));
}

TEST_CASE("exporter: readers that never end are no harm to others, nor to viscumctl") {
    const auto scene = scene_with_observers();
    const Exporter exporter(*scene);
    std::vector<UniqueFd> slow;
    for (int number = 0; number < 200; ++number) {
        slow.push_back(exporter.connect());
        (void)send(slow.back().get(), "GET / HTTP/1.1\r\nA: ", 19, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    CHECK(exporter.get("/metrics").status == 200);
    scene->ctl({"list"});
    CHECK(exporter.running());
}

TEST_CASE("exporter: docs/metrics.md lists every metric, and no other") {
    const auto scene = scene_with_observers();
    scene->deploy(web_service());
    const Exporter exporter(*scene);
    CHECK(eventually(kLimit, [&] { return exporter.metric("viscum_up") == 1; }));
    const auto page = read_file(VISCUM_SOURCE_DIR "/docs/metrics.md", kMost);
    REQUIRE(page);
    std::set<std::string> listed;
    for (const auto& line : split(*page, '\n')) {
        if (line.starts_with("| `viscum_")) {
            const auto name = split(line, '`')[1];
            listed.insert(name.substr(0, name.find('{')));
        }
    }
    CHECK(listed == families(exporter.get("/metrics").body));
}

}  // namespace viscum
