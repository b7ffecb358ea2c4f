// SPDX-License-Identifier: GPL-2.0-only
#include "tests/exporter/exporter.h"

#include <poll.h>

#include <cstdlib>

#include "base/file.h"
#include "tests/exporter/as_account.h"

namespace viscum {
namespace {

constexpr const char* kLog = "/tmp/viscum-exporter.log";
constexpr std::size_t kMost = 64 * 1024 * 1024;

}  // namespace

std::unique_ptr<Scene> scene_with_observers() {
    make_observer_account();
    return std::make_unique<Scene>();
}

Exporter::Exporter(Scene& scene, const Argv& more, const std::string& at)
    : scene_(scene), at_(Endpoint::of(at, kPort)) {
    Argv argv{kProgram};
    argv.insert(argv.end(), more.begin(), more.end());
    program_ = must(Program::start({.argv = argv, .log_file = kLog, .ns = &scene.bed().hotspot()}));
    CHECK_MESSAGE(eventually(kLimit, [this] { return get("/healthz").status == 200 || !running(); }), log());
    REQUIRE_MESSAGE(running(), log());
}

std::string Exporter::log() {
    const auto text = read_file(kLog, kMost);
    return text ? *text : "";
}

UniqueFd Exporter::connect() const {
    auto fd = open_socket(scene_.bed().hotspot(), SOCK_STREAM, at_, {});
    REQUIRE(fd);
    const SocketAddress address = to_sockaddr(at_);
    if (::connect(fd->get(), address.get(), address.length) != 0 && errno != EINPROGRESS) {
        return {};
    }
    return *std::move(fd);
}

HttpAnswer Exporter::get(const std::string& path, const std::string& lines, const std::string& host) const {
    const UniqueFd fd = connect();
    const BootTime deadline = boot_now() + kLimit;
    const std::string ask = cat("GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\n", lines, "\r\n");
    HttpAnswer answer;
    if (!fd || !wait_for_socket(fd.get(), POLLOUT, deadline) ||
        send(fd.get(), ask.data(), ask.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(ask.size())) {
        return answer;
    }
    std::string text;
    char chunk[65536];
    while (wait_for_socket(fd.get(), POLLIN, deadline)) {
        const auto got = recv(fd.get(), chunk, sizeof chunk, 0);
        if (got <= 0) {
            break;
        }
        text.append(chunk, static_cast<std::size_t>(got));
    }
    const auto end = text.find("\r\n\r\n");
    if (end != std::string::npos && text.starts_with("HTTP/1.1 ")) {
        answer.status = std::atoi(text.c_str() + 9);
        answer.head = text.substr(0, end + 2);
        answer.body = text.substr(end + 4);
    }
    return answer;
}

std::optional<double> sample_in(const std::string& text, const std::string& sample) {
    const std::string line = cat("\n", sample, " ");
    const auto found = ("\n" + text).find(line);
    return found == std::string::npos ? std::nullopt : std::optional(std::atof(text.c_str() + found + line.size() - 1));
}

std::optional<double> Exporter::metric(const std::string& sample) const {
    return sample_in(get("/metrics").body, sample);
}

}  // namespace viscum
