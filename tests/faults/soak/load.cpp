// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/soak/load.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/text.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

// Longer than TCP needs to come back from an outage of some seconds.
constexpr Millis kPatience{20'000};
constexpr Millis kDatagramPatience{5'000};
constexpr int kRequestsOfOne = 20;
constexpr std::size_t kBigFile = 1024 * 1024;
constexpr Millis kReadPause{20};

/// Reads an answer to its end, a little at a time.
HttpResult read_slowly(int fd, BootTime deadline) {
    HttpResult result;
    std::array<char, 16'384> buffer{};
    for (std::size_t there = 0;;) {
        if (!wait_for_socket(fd, POLLIN, deadline)) {
            result.outcome = Outcome::timed_out;
            return result;
        }
        const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
        if (length <= 0) {
            const bool was_reset = length < 0;
            result.outcome = was_reset          ? Outcome::reset
                             : there > kBigFile ? Outcome::answered  // the header is longer than nothing
                                                : Outcome::closed;
            return result;
        }
        there += static_cast<std::size_t>(length);
        std::this_thread::sleep_for(kReadPause);
    }
}

Outcome connected(int fd, const Endpoint& to, BootTime deadline) {
    const SocketAddress address = to_sockaddr(to);
    if (connect(fd, address.get(), address.length) < 0 && errno != EINPROGRESS) {
        return Outcome::unreachable;
    }
    if (!wait_for_socket(fd, POLLOUT, deadline)) {
        return Outcome::timed_out;
    }
    int code = 0;
    socklen_t length = sizeof code;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length);
    return code == 0 ? Outcome::answered : code == ECONNRESET ? Outcome::reset : Outcome::refused;
}

HttpResult download(const NetNs& ns, const Endpoint& to) {
    HttpResult result;
    const BootTime deadline = boot_now() + 2 * kPatience;
    auto fd = open_socket(ns, SOCK_STREAM, to, {});
    if (!fd) {
        return result;
    }
    const int window = 32 * 1024;  // or the kernel reads it all at once
    setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    result.outcome = connected(fd->get(), to, deadline);
    if (result.outcome != Outcome::answered) {
        return result;
    }
    constexpr std::string_view kRequest = "GET /big HTTP/1.0\r\n\r\n";
    (void)send(fd->get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
    return read_slowly(fd->get(), deadline);
}

}  // namespace

void Load::start(Stream stream, std::chrono::microseconds pause, Ask ask) {
    const std::size_t number = clients_.size();
    Client& client = clients_.emplace_back();
    client.stream = std::move(stream);
    client.thread = std::jthread([&client, number, pause, ask = std::move(ask)](const std::stop_token& stopped) {
        while (!stopped.stop_requested()) {
            const BootTime begin = boot_now();
            if (auto answer = ask()) {
                client.seen.push_back(
                    {answer->since.value_or(begin), boot_now(), number, answer->outcome, std::move(answer->who)});
            }
            std::this_thread::sleep_for(pause);
        }
    });
}

History Load::stop() {
    for (Client& client : clients_) {
        client.thread.request_stop();
    }
    History history;
    for (Client& client : clients_) {
        if (client.thread.joinable()) {
            client.thread.join();
        }
        history.streams.push_back(client.stream);
        std::ranges::copy(client.seen, std::back_inserter(history.seen));
    }
    return history;
}

Ask fresh(const NetNs& ns, const Endpoint& to) {
    return [&ns, to]() -> std::optional<Answer> {
        const HttpResult result = http_get(ns, {.to = to, .limit = kPatience});
        return Answer{result.outcome, result.who()};
    };
}

Ask kept(const NetNs& ns, const Endpoint& to) {
    struct Kept {
        std::optional<KeptConnection> connection;
        int left = 0;
        BootTime since{};
    };
    return [&ns, to, state = std::make_shared<Kept>()]() -> std::optional<Answer> {
        const BootTime begin = boot_now();
        if (!state->connection) {
            auto opened = KeptConnection::open(ns, {.to = to, .limit = kPatience});
            if (!opened) {
                return Answer{Outcome::failed, opened.error().what};
            }
            state->connection = std::move(*opened);
            state->left = kRequestsOfOne;
            state->since = begin;
        }
        const HttpResult result = state->connection->get();
        const BootTime since = std::exchange(state->since, begin);
        if (--state->left == 0 || result.outcome != Outcome::answered) {
            state->connection.reset();
        }
        return Answer{result.outcome, result.who(), since};
    };
}

Ask slow_download(const NetNs& ns, const Endpoint& to) {
    return [&ns, to]() -> std::optional<Answer> {
        const HttpResult result = download(ns, to);
        return Answer{result.outcome, result.outcome == Outcome::answered ? "whole" : to_text(result.outcome)};
    };
}

Ask datagram(const NetNs& ns, const Endpoint& to, int queries) {
    struct Flow {
        std::optional<UdpFlow> socket;
        int left = 0;
    };
    return [&ns, to, queries, state = std::make_shared<Flow>()]() -> std::optional<Answer> {
        if (!state->socket) {
            auto opened = UdpFlow::open(ns, {.to = to, .payload = "x", .limit = kDatagramPatience});
            if (!opened) {
                return Answer{Outcome::failed, opened.error().what};
            }
            state->socket = std::move(*opened);
            state->left = queries;
        }
        const UdpResult result = state->socket->query();
        if (--state->left == 0 || !result.answered) {
            state->socket.reset();
        }
        if (!result.answered) {
            return Answer{Outcome::timed_out, result.error};
        }
        const bool from_there = result.source == to;
        return Answer{Outcome::answered, from_there ? result.reply.substr(0, result.reply.find(' ')) : "stranger"};
    };
}

}  // namespace viscum
