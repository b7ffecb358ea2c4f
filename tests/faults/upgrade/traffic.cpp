// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/upgrade/traffic.h"

#include <poll.h>

#include <algorithm>
#include <array>

#include "tcprog/pins.h"

namespace viscum {
namespace {

constexpr std::uint16_t kEchoPort = 7000;
const Endpoint kEcho = Endpoint::of("203.0.113.10", kEchoPort);
constexpr std::size_t kBig = 1024 * 1024;
constexpr int kWindow = 8 * 1024;
// At once: so much that nginx has to write. It gives up a client that takes nothing of it for 60 s.
constexpr std::size_t kPart = 64 * 1024;

ServiceFile echo_service() {
    ServiceFile file = test_service("echo", {"203.0.113.10 7000 udp"}, {"local", "udp", "203.0.113.10", "7000"});
    file.more = "health: { udp: { port: 7000, send: ping, expect: ping } }\n";
    return file;
}

std::string who(const UdpResult& result) {
    return result.answered ? result.reply.substr(0, result.reply.find(' ')) : result.error;
}

std::uint64_t sum_of(const std::vector<ReasonCount>& counts) {
    std::uint64_t sum = 0;
    for (const auto& count : counts) {
        sum += count.packets;
    }
    return sum;
}

void check_not_less(const ClaimReport& before, const ClaimReport& now) {
    CAPTURE(now.claim);
    CHECK(now.flows >= before.flows);
    CHECK(now.packets_in >= before.packets_in);
    CHECK(now.bytes_in >= before.bytes_in);
    CHECK(now.packets_out >= before.packets_out);
    CHECK(now.bytes_out >= before.bytes_out);
    CHECK(now.flows_cloud >= before.flows_cloud);
    CHECK(sum_of(now.cloud) >= sum_of(before.cloud));
}

void check_not_less(const DaemonReport& before, const DaemonReport& now) {
    CHECK(sum_of(now.verdicts) >= sum_of(before.verdicts));
    for (const auto& service : before.services) {
        const auto same = std::ranges::find(now.services, service.name, &ServiceReport::name);
        REQUIRE(same != now.services.end());
        REQUIRE(same->claims.size() == service.claims.size());
        for (std::size_t i = 0; i < service.claims.size(); ++i) {
            check_not_less(service.claims[i], same->claims[i]);
        }
    }
}

}  // namespace

const std::string kThis = VISCUM_BIN_DIR "/viscumd";
const std::string kNext = VISCUM_BIN_DIR "/viscumd-next";

Download::Download(Scene& scene) : scene_(scene) {
    begin();
}

void Download::begin() {
    fd_ = must(open_socket(scene_.bed().client(1), SOCK_STREAM, kWeb, {}));
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &kWindow, sizeof kWindow);
    const SocketAddress to = to_sockaddr(kWeb);
    const bool begun = connect(fd_.get(), to.get(), to.length) == 0 || errno == EINPROGRESS;
    const std::string request = "GET /big HTTP/1.0\r\nHost: web\r\n\r\n";
    const auto deadline = boot_now() + kLimit;
    if (!begun || !wait_for_socket(fd_.get(), POLLOUT, deadline) ||
        send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
        problem_ = errno_error("a download cannot begin").what;
    }
    left_ = kBig;  // and its head
}

void Download::read_some() {
    std::array<char, kWindow> bytes{};
    for (std::size_t part = 0; part < kPart && problem_.empty();) {
        const bool ready = wait_for_socket(fd_.get(), POLLIN, boot_now() + kLimit);
        const ssize_t got = ready ? recv(fd_.get(), bytes.data(), bytes.size(), 0) : -1;
        if (got > 0) {
            left_ -= std::min(left_, static_cast<std::size_t>(got));
            part += static_cast<std::size_t>(got);
        } else if (got == 0 && left_ == 0) {
            begin();
        } else {
            problem_ = cat("a download ended with ", left_, " bytes to come: ", errno_error("recv").what);
        }
    }
}

Traffic::Traffic(Scene& scene) : scene_(scene) {
    const Argv arguments = {"cloud", "tcp", "::", "7000", "udp", "203.0.113.10", "7000"};
    scene.start_in_cloud(Server{test_server(arguments), "/tmp/cloud-echo.log"}, kEchoPort);
    scene.deploy(web_service());
    scene.deploy(echo_service());
    begin_udp();
    web_ = scene.status("web").pid;
    echo_ = scene.status("echo").pid;
    kept_ = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    kept6_ = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb6}));
    download_.emplace(scene);
    v4_ = scene.flow(kWeb, 1);
    v6_ = scene.flow(kWeb6, 2);
    CHECK(v4_->wait_for("local", boot_now(), kLimit));
    CHECK(v6_->wait_for("local", boot_now(), kLimit));
}

void Traffic::begin_udp() {
    cloud_.reset();
    local_.reset();
    const UdpRequest request{.to = kEcho, .payload = "x"};
    scene_.ctl({"drain", "echo"});
    cloud_ = must(UdpFlow::open(scene_.bed().client(1), request));
    CHECK(who(cloud_->query()) == "cloud");
    scene_.ctl({"resume", "echo"});
    local_ = must(UdpFlow::open(scene_.bed().client(2), request));
    CHECK(eventually(kLimit, [this] { return scene_.echo(kEcho) == "local"; }));
    CHECK(who(local_->query()) == "local");
}

void Traffic::check() {
    check_tcp();
    CHECK(who(local_->query()) == "local");
    CHECK(who(cloud_->query()) == "cloud");
}

void Traffic::check_tcp() {
    CHECK(kept_->get().who() == "local");
    CHECK(kept6_->get().who() == "local");
    download_->read_some();
    CHECK(download_->problem() == "");
}

void Traffic::check_services() {
    CHECK(scene_.status("web").pid == web_);
    CHECK(scene_.status("echo").pid == echo_);
    const DaemonReport now = scene_.report();
    check_not_less(before_, now);
    before_ = now;
}

void Traffic::finish(const std::string& what) {
    for (FlowClient* flow : {v4_.get(), v6_.get()}) {
        const FlowSummary seen = flow->stop();
        check_flow(what, seen);
        requests_ += seen.requests;
        failed_ += seen.failed + seen.resets;
        gap_ = std::max(gap_, seen.longest_gap);
    }
    kept_.reset();
    kept6_.reset();
    download_.reset();
}

std::string Traffic::longest_gap() const {
    return cat(std::chrono::duration_cast<std::chrono::milliseconds>(gap_).count(), " ms");
}

std::string pinned_layouts() {
    const auto versions = must(pinned_versions("/sys/fs/bpf/viscum"));
    std::string out;
    for (const auto version : versions) {
        out += cat(out.empty() ? "" : " ", version);
    }
    return out;
}

}  // namespace viscum
