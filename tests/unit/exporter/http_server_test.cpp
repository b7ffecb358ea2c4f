// SPDX-License-Identifier: GPL-2.0-only
// The real server on the loopback, its loop in the test; readers are plain sockets that do what readers should not.
#include "controller/exporter/http_server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/text.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

constexpr const char* kAsk = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct Room {
    explicit Room(Millis head_time = HttpServer::kHeadTime) {
        auto opened = EventLoop::open();
        REQUIRE(opened);
        loop = *std::move(opened);
        // Any free port: the first that can be had.
        for (int port = 20'000 + getpid() % 20'000; port < 60'000 && !server; ++port) {
            address = *ListenAddress::parse(cat("127.0.0.1:", port));
            auto made = HttpServer::open(
                *loop, address,
                [this](HttpServer::Id id, const HttpRequest& request) {
                    ++requests;
                    answer(id, request);
                },
                head_time);
            if (made) {
                server = *std::move(made);
            }
        }
        REQUIRE(server);
    }
    [[nodiscard]] UniqueFd connect() const {
        UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.address), address.length) == 0);
        return fd;
    }
    void turn(Millis time = 30ms) {
        loop->after(time, [this] { loop->stop(); });
        REQUIRE(loop->run());
    }
    /// All that comes until the server has closed, or nothing is there any more.
    static std::string rest(const UniqueFd& fd) {
        std::string text;
        char chunk[4096];
        for (ssize_t got = 0; (got = recv(fd.get(), chunk, sizeof chunk, MSG_DONTWAIT)) > 0;) {
            text.append(chunk, static_cast<std::size_t>(got));
        }
        return text;
    }
    static bool closed(const UniqueFd& fd) {
        char byte = 0;
        const auto got = recv(fd.get(), &byte, 1, MSG_DONTWAIT);
        return got == 0 || (got < 0 && errno != EAGAIN);
    }
    static void say(const UniqueFd& fd, const std::string& text) {
        REQUIRE(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    }

    /// Connections of the server's end that hold bytes which nobody has read, also those that it has closed.
    [[nodiscard]] std::size_t holding() const {
        const auto port = ntohs(reinterpret_cast<const sockaddr_in&>(address.address).sin_port);
        char local[16];
        std::snprintf(local, sizeof local, ":%04X ", port);
        std::ifstream table("/proc/self/net/tcp");
        std::size_t count = 0;
        for (std::string line; std::getline(table, line);) {
            std::istringstream fields(line);
            std::string number, here, there, state, queues;
            fields >> number >> here >> there >> state >> queues;
            count += (here + ' ').ends_with(local) && !queues.starts_with("00000000:") ? 1U : 0U;
        }
        return count;
    }

    std::unique_ptr<EventLoop> loop;
    ListenAddress address;
    std::unique_ptr<HttpServer> server;
    std::function<void(HttpServer::Id, const HttpRequest&)> answer = [this](auto id, const auto&) {
        server->reply(id, {.body = "hello\n"});
    };
    int requests = 0;
};

}  // namespace

TEST_CASE("http server: an answer has its headers, and the connection ends behind it") {
    Room room;
    room.server->always_send({"X-Always: 1"});
    const auto reader = room.connect();
    Room::say(reader, kAsk);
    room.turn();
    const std::string text = Room::rest(reader);
    CHECK(text.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(text.find("\r\nX-Always: 1\r\n") != std::string::npos);
    CHECK(text.ends_with("\r\n\r\nhello\n"));
    CHECK(Room::closed(reader));
    const auto only_head = room.connect();
    Room::say(only_head, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    room.turn();
    const std::string head = Room::rest(only_head);
    CHECK(head.find("Content-Length: 6\r\n") != std::string::npos);
    CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("http server: what is no request is refused, and a head without an end is too long") {
    Room room;
    const auto nonsense = room.connect();
    Room::say(nonsense, "\x16\x03\x01\r\n\r\n");
    const auto post = room.connect();
    Room::say(post, "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto endless = room.connect();
    Room::say(endless, "GET / HTTP/1.1\r\nA: " + std::string(20'000, 'a'));
    room.turn();
    CHECK(Room::rest(nonsense).starts_with("HTTP/1.1 400 "));
    CHECK(Room::rest(post).find("Allow: GET, HEAD\r\n") != std::string::npos);
    CHECK(Room::rest(endless).starts_with("HTTP/1.1 431 "));
    CHECK(room.requests == 0);
}

TEST_CASE("http server: readers that say nothing, or a byte now and then, keep nobody out") {
    Room room;
    std::vector<UniqueFd> slow;
    for (int number = 0; number < 200; ++number) {
        slow.push_back(room.connect());
        Room::say(slow.back(), "G");
        if (number % 20 == 0) {
            room.turn(5ms);
        }
    }
    const auto reader = room.connect();
    Room::say(reader, kAsk);
    room.turn();
    CHECK(Room::rest(reader).starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(room.server->turned_away() >= 200 - HttpServer::kMostConnections);
    std::size_t open = 0;
    for (const auto& fd : slow) {
        open += Room::closed(fd) ? 0U : 1U;
    }
    CHECK(open <= HttpServer::kMostConnections);
}

TEST_CASE("http server: of readers that do not read, the kernel keeps no more than there are places") {
    Room room;
    const std::string body(1 << 20, 'x');
    room.answer = [&](auto id, const auto&) { room.server->reply(id, {.body = body}); };
    std::vector<UniqueFd> idle;
    for (std::size_t number = 0; number < 3 * HttpServer::kMostConnections; ++number) {
        idle.push_back(room.connect());
        Room::say(idle.back(), kAsk);
        room.turn(2ms);
    }
    CHECK(room.requests == 3 * static_cast<int>(HttpServer::kMostConnections));
    CHECK(room.holding() > 0);
    CHECK(room.holding() <= HttpServer::kMostConnections);
}

TEST_CASE("http server: a head that comes in small steps is cut off at its time") {
    constexpr Millis kHeadTime{200};
    Room room(kHeadTime);
    const auto slow = room.connect();
    const std::string head = kAsk;
    const BootTime begin = boot_now();
    std::size_t said = 0;
    while (!Room::closed(slow) && said < head.size() - 1) {
        if (send(slow.get(), head.data() + said, 1, MSG_NOSIGNAL) != 1) {
            break;
        }
        ++said;
        room.turn(20ms);
    }
    CHECK(said < head.size() - 1);
    CHECK(boot_now() - begin >= kHeadTime - 50ms);
    CHECK(room.requests == 0);
}

TEST_CASE("http server: streams are bounded, and one that is not read misses events") {
    Room room;
    room.answer = [&room](HttpServer::Id id, const HttpRequest&) {
        if (!room.server->stream(id)) {
            room.server->reply(id, {.status = 503});
        }
    };
    std::vector<UniqueFd> readers;
    for (std::size_t number = 0; number < HttpServer::kMostStreams + 1; ++number) {
        readers.push_back(room.connect());
        Room::say(readers.back(), kAsk);
    }
    room.turn();
    CHECK(room.server->streams() == HttpServer::kMostStreams);
    CHECK(Room::rest(readers.back()).starts_with("HTTP/1.1 503 "));
    const std::string large(1'000'000, 'x');
    for (int number = 0; number < 200; ++number) {
        room.server->send_event(large);
        CHECK(Room::rest(readers.front()).size() < 20'000'000);
        room.turn(1ms);
    }
    // The first has read; the others, which have not, have got what the kernel keeps and one event at most.
    CHECK(room.server->streams() == HttpServer::kMostStreams);
    readers.clear();
    room.turn();
    CHECK(room.server->streams() == 0);
}

TEST_CASE("http server: an answer for a reader that has gone is nobody's") {
    Room room;
    HttpServer::Id asked = 0;
    room.answer = [&asked](HttpServer::Id id, const HttpRequest&) { asked = id; };
    {
        const auto reader = room.connect();
        Room::say(reader, kAsk);
        room.turn();
    }
    room.turn();
    REQUIRE(asked != 0);
    room.server->reply(asked, {.body = "late"});
    room.server->reply(999, {.body = "never"});
    room.server->send_event(asked, "late");
    CHECK(room.server->streams() == 0);
}
