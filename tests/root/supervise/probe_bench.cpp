// SPDX-License-Identifier: GPL-2.0-only
#include "tests/root/supervise/probe_bench.h"

#include <netinet/in.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/support/bed.h"
#include "tests/support/endpoint.h"

namespace viscum {

using namespace std::chrono_literals;

const IpAddress kAddress = *IpAddress::parse("203.0.113.10");
const IpAddress kAddress6 = *IpAddress::parse("2001:db8::10");

Bench::Bench(std::string prober_path)
    : home(must(NetNs::current())),
      ns(must(NetNs::create("probed"))),
      loop(must(EventLoop::open())),
      prober(*loop, {std::move(prober_path), kProberUser, kProberUser,
                     [this](const std::string& text) { told.push_back(text); }}) {
    const auto set = ip_batch(ns,
                              "link set lo up\naddress add 203.0.113.10/32 dev lo\n"
                              "address add 2001:db8::10/128 dev lo nodad\n");
    REQUIRE_MESSAGE(set, set.error().what);
    // The kernel adds an IPv6 address's route in a work queue of its own: until then nobody refuses what is sent to it.
    const SocketAddress address = to_sockaddr({kAddress6, kPort});
    REQUIRE(eventually([&] {
        const UniqueFd fd = must(open_socket(ns, SOCK_DGRAM, {kAddress6, kPort}, {}));
        char byte = 0;
        return connect(fd.get(), address.get(), address.length) == 0 && send(fd.get(), &byte, 1, 0) == 1 &&
               recv(fd.get(), &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;
    }));
}

Bench::~Bench() {
    (void)remove_net_ns_name("probed");
}

UniqueFd Bench::bound(int type, const IpAddress& address) const {
    UniqueFd fd = must(open_socket(ns, type, {address, 0}, {address, kPort}));
    REQUIRE((type == SOCK_DGRAM || listen(fd.get(), 512) == 0));
    return fd;
}

std::unique_ptr<Probe> Bench::start(const HealthSpec& spec, std::function<void(const ProbeResult&)> done,
                                    const IpAddress& target) {
    return start_probe({*loop, prober, home, ns, shim_path, run_dir}, spec, target, std::move(done));
}

ProbeResult Bench::probe(const HealthSpec& spec, const IpAddress& target, Millis after) {
    std::vector<ProbeResult> results;
    bool inside = true;
    std::unique_ptr<Probe> probe = start(
        spec,
        [&](const ProbeResult& result) {
            CHECK_FALSE(inside);
            results.push_back(result);
            probe.reset();  // allowed, and the hardest moment for it
            loop->after(after, [this] { loop->stop(); });
        },
        target);
    inside = false;
    const auto guard = loop->after(10s, [this] { loop->stop(); });
    REQUIRE(loop->run());
    loop->cancel(guard);
    REQUIRE(results.size() == 1);
    return results[0];
}

bool Bench::until(const std::function<bool()>& condition) {
    const BootTime limit = boot_now() + 10s;
    while (!condition() && boot_now() < limit) {
        run_for(2ms);
    }
    return condition();
}

void Bench::run_for(Millis time) {
    loop->after(time, [this] { loop->stop(); });
    REQUIRE(loop->run());
}

TcpServer::TcpServer(const Bench& bench, Serve serve, const IpAddress& address)
    : loop_(*bench.loop), listener_(bench.bound(SOCK_STREAM, address)), serve_(std::move(serve)) {
    REQUIRE(loop_.watch(listener_.get(), Order::clients, EPOLLIN, [this](std::uint32_t) { accept(); }));
}

TcpServer::~TcpServer() {
    loop_.unwatch(listener_.get());
    for (const auto& fd : connections_) {
        loop_.unwatch(fd.get());
    }
}

void TcpServer::accept() {
    connections_.emplace_back(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    UniqueFd& owner = connections_.back();
    ++accepted;
    REQUIRE(loop_.watch(owner.get(), Order::clients, EPOLLIN, [this, &owner](std::uint32_t) { read(owner); }));
}

void TcpServer::read(UniqueFd& owner) {
    char bytes[4096];
    const ssize_t got = recv(owner.get(), bytes, sizeof bytes, 0);
    if (got > 0) {
        request.append(bytes, static_cast<std::size_t>(got));
        if (serve_) {
            const int fd = owner.get();
            serve_(fd, owner);
            if (!owner) {
                loop_.unwatch(fd);
            }
        }
        return;
    }
    saw_reset = saw_reset || got < 0;
    loop_.unwatch(owner.get());
    owner.reset();
}

pid_t caged(Bench& bench) {
    CHECK(bench.probe(with(UdpProbe{kPort, "x", ""})) == kRefused);
    REQUIRE(bench.prober.pid() > 0);
    return bench.prober.pid();
}

std::size_t descriptors_of(pid_t pid) {
    return must(list_directory(cat("/proc/", pid, "/fd"))).size();
}

void say(int fd, std::string_view text) {
    CHECK(send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

TcpServer::Serve answer(const std::string& text) {
    return [text](int fd, UniqueFd&) {
        say(fd, text);
        shutdown(fd, SHUT_WR);
    };
}

HealthSpec with(decltype(HealthSpec::probe) probe, Millis timeout) {
    HealthSpec spec;
    spec.probe = std::move(probe);
    spec.timeout = timeout;
    return spec;
}

HttpProbe http(std::string path) {
    HttpProbe probe;
    probe.port = kPort;
    probe.path = std::move(path);
    return probe;
}

ProbeResult unhealthy(std::string reason) {
    return {false, false, std::move(reason)};
}

ProbeResult unasked(std::string reason) {
    return {false, false, std::move(reason), false};
}

}  // namespace viscum
