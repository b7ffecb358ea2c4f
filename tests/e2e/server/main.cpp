// SPDX-License-Identifier: GPL-2.0-only
// A server as naive as they come: viscum-test-server [--wait MS] [--once KIB] WHO {tcp|udp ADDRESS PORT}...
// TCP: one HTTP response with the body WHO for every connection. UDP: WHO, a space and the datagram, by a plain sendto
// from the bound socket, so the kernel chooses the source. --wait: sleeps before it opens its sockets. --once: fills
// the first HTTP response up to KIB kibibytes and ends at once, with 0; what the client has not read is the kernel's to
// send.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <vector>

#include "base/text.h"
#include "tests/support/endpoint.h"

namespace viscum {
namespace {

constexpr std::uint64_t kLongestWait = 60'000;  // ms
constexpr std::uint64_t kLargestBody = 1024;    // KiB

struct Answer {
    std::string body;
    bool once = false;
};

struct Socket {
    UniqueFd fd;
    bool tcp = false;
};

Result<Socket> bind_to(const std::string& protocol, const std::string& address, std::uint16_t port) {
    const SocketAddress at = to_sockaddr(Endpoint::of(address, port));
    const bool tcp = protocol == "tcp";
    UniqueFd fd(socket(at.get()->sa_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!fd || bind(fd.get(), at.get(), at.length) < 0) {
        return errno_error(cat("cannot listen on ", protocol, " ", address, " ", port));
    }
    return Socket{std::move(fd), tcp};
}

/// Who sees one port listen has all sockets: a snapshot for a leak check is taken at that moment.
bool listen_all(const std::vector<Socket>& sockets) {
    return std::ranges::all_of(sockets,
                               [](const Socket& one) { return !one.tcp || listen(one.fd.get(), SOMAXCONN) == 0; });
}

void answer_connection(int listener, const Answer& answer) {
    const UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 4096> request{};
    if (!fd || recv(fd.get(), request.data(), request.size(), 0) <= 0) {
        return;  // a probe that only connects
    }
    const std::string text = cat("HTTP/1.0 200 OK\r\nContent-Length: ", answer.body.size(), "\r\n\r\n", answer.body);
    if (answer.once) {
        const int room = static_cast<int>(4 * text.size());
        setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    (void)send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (answer.once) {
        _exit(0);
    }
}

void answer_datagram(int fd, const Answer& answer) {
    std::array<char, 65'536> buffer{};
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t size = recvfrom(fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (size >= 0) {
        const std::string text = cat(answer.body, " ", std::string_view(buffer.data(), static_cast<std::size_t>(size)));
        (void)sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&from), length);
    }
}

int serve(const std::vector<Socket>& sockets, const Answer& answer) {
    std::vector<pollfd> watched;
    for (const Socket& one : sockets) {
        watched.push_back({one.fd.get(), POLLIN, 0});
    }
    while (poll(watched.data(), watched.size(), -1) > 0) {
        for (std::size_t index = 0; index < sockets.size(); ++index) {
            if ((watched[index].revents & POLLIN) != 0) {
                (sockets[index].tcp ? answer_connection : answer_datagram)(watched[index].fd, answer);
            }
        }
    }
    return 1;
}

/// The number behind an option that is the first word, which are taken away.
std::optional<std::uint64_t> take_option(std::vector<std::string>& words, const char* name, std::uint64_t most) {
    if (words.size() < 2 || words[0] != name) {
        return std::nullopt;
    }
    const auto value = parse_decimal(words[1], most);
    words.erase(words.begin(), words.begin() + 2);
    return value;
}

int run(std::vector<std::string> words) {
    if (const auto wait = take_option(words, "--wait", kLongestWait)) {
        usleep(static_cast<useconds_t>(*wait * 1000));
    }
    const auto once = take_option(words, "--once", kLargestBody);
    if (words.size() < 4 || words.size() % 3 != 1) {
        std::fputs("usage: viscum-test-server [--wait MS] [--once KIB] WHO {tcp|udp ADDRESS PORT}...\n", stderr);
        return 2;
    }
    std::vector<Socket> sockets;
    for (std::size_t index = 1; index < words.size(); index += 3) {
        const auto port = static_cast<std::uint16_t>(parse_decimal(words[index + 2], UINT16_MAX).value_or(0));
        auto opened = bind_to(words[index], words[index + 1], port);
        if (!opened) {
            std::fprintf(stderr, "%s\n", opened.error().what.c_str());
            return 1;
        }
        sockets.push_back(std::move(*opened));
    }
    if (!listen_all(sockets)) {
        std::perror("cannot listen");
        return 1;
    }
    Answer answer{words[0], once.has_value()};
    answer.body.resize(std::max<std::size_t>(answer.body.size(), once.value_or(0) * 1024));
    return serve(sockets, answer);
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    return viscum::run({argv + 1, argv + argc});
}
