// SPDX-License-Identifier: GPL-2.0-only
// Probes against real sockets, through the real prober.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <csignal>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/supervise/probe_bench.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

TEST_CASE("probe: where nothing listens, the probe is refused") {
    Bench bench;
    CHECK(bench.probe(with(TcpProbe{kPort})) == kRefused);
    CHECK(bench.probe(with(TcpProbe{kPort}), kAddress6) == kRefused);
    CHECK(bench.probe(with(http())) == kRefused);
    CHECK(bench.probe(with(UdpProbe{kPort, "ping", ""})) == kRefused);
    CHECK(bench.probe(with(UdpProbe{kPort, "ping", ""}), kAddress6) == kRefused);
}

TEST_CASE("probe: it reaches the service's namespace and no other") {
    Bench bench;
    const TcpServer server(bench, {});
    CHECK(bench.probe(with(TcpProbe{kPort})) == kHealthy);
    bench.ns = must(NetNs::current());
    CHECK_FALSE(bench.probe(with(TcpProbe{kPort}, 100ms)).healthy);
}

TEST_CASE("probe: a TCP connection is enough, and leaves without a reset") {
    Bench bench;
    for (const auto& address : {kAddress, kAddress6}) {
        const TcpServer server(bench, {}, address);
        CHECK(bench.probe(with(TcpProbe{kPort}), address, 20ms) == kHealthy);
        CHECK(server.accepted == 1);
        CHECK_FALSE(server.saw_reset);
    }
}

TEST_CASE("probe: a connection comes with its request or its end, so that the service wakes up once") {
    Bench bench;
    const pid_t pid = caged(bench);
    kill(pid, SIGSTOP);  // no request follows
    for (const auto& spec : {with(TcpProbe{kPort}), with(http())}) {
        const UniqueFd listener = bench.bound(SOCK_STREAM, kAddress);
        REQUIRE(fcntl(listener.get(), F_SETFL, O_NONBLOCK) == 0);
        UniqueFd connection;
        const auto accepted = [&] {
            if (!connection) {
                connection.reset(accept(listener.get(), nullptr, nullptr));
            }
            return bool(connection);
        };
        // Again where this process was away for longer than the kernel waits.
        bool waited = false;
        for (int tries = 0; tries < 50 && !waited; ++tries) {
            connection.reset();
            const auto probe = bench.start(spec, [](const ProbeResult&) {});
            waited = !accepted();
            CHECK(bench.until(accepted));
        }
        CHECK(waited);
    }
    kill(pid, SIGCONT);
}

TEST_CASE("probe: an address that the namespace does not own is no health") {
    Bench bench;
    const auto result = bench.probe(with(TcpProbe{kPort}), *IpAddress::parse("203.0.113.99"));
    CHECK(result == unhealthy("network is unreachable"));
}

TEST_CASE("probe: HTTP asks for the path and compares the status") {
    Bench bench;
    TcpServer server(bench, answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"));
    CHECK(bench.probe(with(http("/healthz?a=b")), kAddress, 20ms) == kHealthy);
    CHECK(server.request ==
          "GET /healthz?a=b HTTP/1.1\r\nHost: 203.0.113.10:8080\r\nUser-Agent: viscum-health\r\nAccept: */*\r\n"
          "Connection: close\r\n\r\n");
    CHECK_FALSE(server.saw_reset);
}

TEST_CASE("probe: HTTP over IPv6, with a host of the file") {
    Bench bench;
    TcpServer server(bench, answer("HTTP/1.0 200 OK\n\n"), kAddress6);
    CHECK(bench.probe(with(http()), kAddress6) == kHealthy);
    CHECK(server.request.find("\r\nHost: [2001:db8::10]:8080\r\n") != std::string::npos);
    HttpProbe named = http();
    named.host = "plates.example.com";
    CHECK(bench.probe(with(named), kAddress6) == kHealthy);
    CHECK(server.request.find("\r\nHost: plates.example.com\r\n") != std::string::npos);
}

TEST_CASE("probe: another HTTP status is told") {
    Bench bench;
    const TcpServer server(bench, answer("HTTP/1.1 503 Service Unavailable\r\n\r\n"));
    CHECK(bench.probe(with(http())) == unhealthy("status 503 instead of 200"));
    HttpProbe expecting = http();
    expecting.expect = 503;
    CHECK(bench.probe(with(expecting)) == kHealthy);
}

TEST_CASE("probe: an HTTP status counts although the connection stays open") {
    Bench bench;
    const TcpServer server(bench, [](int fd, UniqueFd&) { say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"); });
    CHECK(bench.probe(with(http())) == kHealthy);
}

TEST_CASE("probe: an HTTP answer with a body leaves without a reset") {
    Bench bench;
    const TcpServer server(bench, answer("HTTP/1.1 200 OK\r\n\r\n" + std::string(20'000, 'x')));
    CHECK(bench.probe(with(http()), kAddress, 20ms) == kHealthy);
    CHECK(server.accepted == 1);
    CHECK_FALSE(server.saw_reset);
}

TEST_CASE("probe: a service that accepts and never answers is not healthy") {
    Bench bench;
    SUBCASE("the service reads") {
        const TcpServer server(bench, {});
        CHECK(bench.probe(with(http(), 100ms)) == unhealthy("no answer within 100ms"));
    }
    SUBCASE("nobody even accepts") {
        const UniqueFd listener = bench.bound(SOCK_STREAM, kAddress);
        CHECK(bench.probe(with(http(), 100ms)) == unhealthy("no answer within 100ms"));
        CHECK(bench.probe(with(TcpProbe{kPort}, 100ms)) == kHealthy);  // what a TCP probe cannot see
    }
}

TEST_CASE("probe: a listener whose queue is full does not answer") {
    Bench bench;
    const UniqueFd listener = bench.bound(SOCK_STREAM, kAddress);
    REQUIRE(listen(listener.get(), 0) == 0);
    (void)bench.probe(with(TcpProbe{kPort}, 100ms));
    (void)bench.probe(with(TcpProbe{kPort}, 100ms));
    CHECK(bench.probe(with(TcpProbe{kPort}, 100ms)) == unhealthy("no answer within 100ms"));
}

TEST_CASE("probe: hostile HTTP answers are bounded in bytes and time") {
    Bench bench;
    HttpProbe probe = http();
    SUBCASE("closed at once") {
        const TcpServer server(bench, answer(""));
        CHECK(bench.probe(with(probe)) == unhealthy("connection closed before an HTTP status came"));
    }
    SUBCASE("reset") {
        const TcpServer server(bench, [](int fd, UniqueFd& owner) {
            const linger hard{1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            owner.reset();
        });
        CHECK(bench.probe(with(probe)) == unhealthy("connection reset by peer"));
    }
    SUBCASE("another protocol") {
        const TcpServer server(bench, answer("SSH-2.0-OpenSSH\r\n"));
        CHECK(bench.probe(with(probe)) == unhealthy("no HTTP/1 status line"));
    }
    SUBCASE("no line end") {
        const TcpServer server(bench, answer(std::string(20'000, '\0')));
        CHECK(bench.probe(with(probe)) == unhealthy("no HTTP status in the first 8192 bytes"));
    }
    SUBCASE("interim answers without end") {
        std::string storm;
        while (storm.size() < 20'000) {
            storm += "HTTP/1.1 100 Continue\r\n\r\n";
        }
        const TcpServer server(bench, answer(storm));
        CHECK(bench.probe(with(probe)) == unhealthy("no HTTP status in the first 8192 bytes"));
    }
    SUBCASE("a drip") {
        std::function<void()> drip;
        const TcpServer server(bench, [&](int fd, UniqueFd&) {
            drip = [&, fd] {
                (void)send(fd, "H", 1, MSG_NOSIGNAL);
                bench.loop->after(5ms, drip);
            };
            drip();
        });
        CHECK(bench.probe(with(probe, 150ms)) == unhealthy("no answer within 150ms"));
    }
}

TEST_CASE("probe: an HTTP answer of 64 MiB is not read to its end") {
    Bench bench;
    std::size_t sent = 0;
    const std::string chunk(16'384, 'x');
    std::function<void()> pour;
    const TcpServer server(bench, [&](int fd, UniqueFd&) {
        say(fd, "HTTP/1.1 200 OK\r\n\r\n");
        pour = [&, fd] {
            for (ssize_t put = 0;
                 sent < (64UL << 20) && (put = send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL)) > 0;) {
                sent += static_cast<std::size_t>(put);
            }
            bench.loop->after(1ms, pour);
        };
        pour();
    });
    CHECK(bench.probe(with(http())) == kHealthy);
    CHECK(sent < (16UL << 20));  // what the sockets' buffers hold
}

TEST_CASE("probe: UDP compares the answer") {
    Bench bench;
    const UniqueFd socket = bench.bound(SOCK_DGRAM, kAddress);
    std::vector<std::string> answers;
    std::string question;
    REQUIRE(bench.loop->watch(socket.get(), Order::clients, EPOLLIN, [&](std::uint32_t) {
        char bytes[1000];
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        const ssize_t got = recvfrom(socket.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length);
        question.assign(bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        for (const auto& text : answers) {
            CHECK(sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), length) >= 0);
        }
    }));
    const std::string ask("a\0\xff", 3);
    SUBCASE("what is expected, within the answer") {
        answers = {"xx pong yy"};
        CHECK(bench.probe(with(UdpProbe{kPort, ask, "pong"})) == kHealthy);
        CHECK(question == ask);
    }
    SUBCASE("any answer, even an empty one") {
        answers = {""};
        CHECK(bench.probe(with(UdpProbe{kPort, ask, ""})) == kHealthy);
    }
    SUBCASE("an empty question") {
        answers = {"pong"};
        CHECK(bench.probe(with(UdpProbe{kPort, "", "pong"})) == kHealthy);
        CHECK(question.empty());
    }
    SUBCASE("the right answer after a wrong one") {
        answers = {"wrong", "pong"};
        CHECK(bench.probe(with(UdpProbe{kPort, ask, "pong"})) == kHealthy);
    }
    SUBCASE("a wrong answer") {
        answers = {"wrong"};
        CHECK(bench.probe(with(UdpProbe{kPort, ask, "pong"}, 100ms)) ==
              unhealthy("the answer does not contain what is expected"));
    }
    SUBCASE("no answer") {
        CHECK(bench.probe(with(UdpProbe{kPort, ask, ""}, 100ms)) == unhealthy("no answer within 100ms"));
    }
    SUBCASE("wrong answers without end") {
        answers.assign(40, std::string(2000, 'x'));
        CHECK(bench.probe(with(UdpProbe{kPort, ask, "pong"}, 60s)) ==  // which it does not wait for
              unhealthy("the answer does not contain what is expected"));
    }
    bench.loop->unwatch(socket.get());
}

TEST_CASE("probe: the process probe fails before the service's program is executed, from the loop") {
    Bench bench;
    CHECK(bench.probe(with(ProcessProbe{})).reason == "its program is not executed yet");
}

TEST_CASE("probe: destroying a probe cancels it") {
    Bench bench;
    const TcpServer server(bench, {});
    for (const auto& spec :
         {with(TcpProbe{kPort}), with(http()), with(UdpProbe{kPort, "x", ""}), with(ProcessProbe{})}) {
        bool called = false;
        auto probe = bench.start(spec, [&](const ProbeResult&) { called = true; });
        probe.reset();
        bench.run_for(50ms);
        CHECK_FALSE(called);
    }
}

TEST_CASE("probe: hundreds of probes keep no descriptor") {
    Bench bench;
    const TcpServer server(bench, answer("HTTP/1.1 200 OK\r\n\r\n"));
    const auto count = [] { return must(list_directory("/proc/self/fd")).size(); };
    std::vector<std::size_t> counts;
    for (int i = 0; i < 100; ++i) {
        CHECK(bench.probe(with(http()), kAddress, 2ms) == kHealthy);
        CHECK(bench.probe(with(UdpProbe{kPort, "x", ""})) == kRefused);
        counts.push_back(count());
    }
    CHECK(counts.back() <= counts.front() + 1);  // a connection that the server has not yet seen the end of
}

}  // namespace
}  // namespace viscum
