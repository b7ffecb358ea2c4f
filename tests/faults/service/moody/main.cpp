// SPDX-License-Identifier: GPL-2.0-only
// A web server whose behaviour is a word in /srv/mood, read anew for every connection:
//   good     200, with the body "local"
//   silent   nothing at all, for as long as the client waits
//   drip     the status line, a byte every 100 ms
//   half     the status line without its end, and no more
//   body     200, and 64 MiB of body
//   endless  64 MiB without an end of line
//   nuls     64 MiB of them
//   interim  64 MiB of "100 Continue"
//   tls      a TLS record, as of a server that speaks HTTPS
// viscum-test-moody PORT [litter]: listens on PORT of all addresses. After each connection it writes a line "MOOD
// BYTES" to standard output: how many the client took. litter: before, it leaves 50 processes behind that are its
// grandchildren and end at once, and one that stays, in a session of its own, and ignores what it can.
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace viscum {
namespace {

constexpr std::size_t kFlood = 64UL << 20;
constexpr int kDripMs = 100;
constexpr int kLongestMs = 60'000;
constexpr int kLitter = 50;

std::string mood() {
    const auto text = read_file("/srv/mood", 64);
    if (text) {
        return *text;
    }
    return text.error().errno_code == ENOENT ? "good" : "silent";  // no descriptor is left
}

/// How much of it went out.
std::size_t send_all(int fd, std::string_view text) {
    std::size_t sent = 0;
    while (sent < text.size()) {
        const ssize_t count = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) {
            break;
        }
        sent += static_cast<std::size_t>(count);
    }
    return sent;
}

/// `part` again and again, kFlood bytes in all.
std::size_t flood(int fd, std::string_view part) {
    std::string block;
    while (block.size() < 64 * 1024) {
        block += part;
    }
    std::size_t sent = 0;
    while (sent < kFlood) {
        const std::size_t now = send_all(fd, block);
        sent += now;
        if (now < block.size()) {
            break;
        }
    }
    return sent;
}

/// Until the client closes.
void wait_for_end(int fd) {
    std::array<char, 4096> rest{};
    pollfd watched{fd, POLLIN, 0};
    while (poll(&watched, 1, kLongestMs) > 0 && recv(fd, rest.data(), rest.size(), 0) > 0) {
    }
}

std::size_t drip(int fd) {
    std::size_t sent = 0;
    for (const char byte : std::string_view("HTTP/1.1 200 OK, but slowly\r\n\r\n")) {
        poll(nullptr, 0, kDripMs);
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) {
            break;
        }
        ++sent;
    }
    return sent;
}

std::size_t answer(int fd, const std::string& how) {
    if (how == "silent") {
        wait_for_end(fd);
        return 0;
    }
    if (how == "drip") {
        return drip(fd);
    }
    if (how == "half") {
        const std::size_t sent = send_all(fd, "HTTP/1.1 200 OK");
        wait_for_end(fd);
        return sent;
    }
    if (how == "body") {
        return send_all(fd, cat("HTTP/1.1 200 OK\r\nContent-Length: ", kFlood, "\r\n\r\n")) + flood(fd, "A");
    }
    if (how == "endless") {
        return flood(fd, "A");
    }
    if (how == "nuls") {
        return flood(fd, std::string_view("\0", 1));
    }
    if (how == "interim") {
        return flood(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (how == "tls") {
        // An alert, "unexpected message" (RFC 8446, 6), which is what plain HTTP gets there.
        const std::size_t sent = send_all(fd, std::string_view("\x15\x03\x03\x00\x02\x02\x0a", 7));
        wait_for_end(fd);
        return sent;
    }
    return send_all(fd, "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nlocal\n");
}

void serve(int number) {
    const UniqueFd fd(number);
    std::array<char, 4096> request{};
    const ssize_t size = recv(fd.get(), request.data(), request.size(), 0);
    const std::string how = mood();
    const std::size_t sent = size > 0 ? answer(fd.get(), how) : 0;
    const std::string line = cat(how, ' ', sent, '\n');
    (void)!write(1, line.data(), line.size());
}

void leave_litter() {
    for (int count = 0; count <= kLitter; ++count) {
        const pid_t child = fork();
        if (child == 0) {
            setsid();
            if (fork() == 0 && count == kLitter) {
                for (const int one : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
                    signal(one, SIG_IGN);
                }
                for (;;) {
                    pause();
                }
            }
            _exit(0);
        }
        waitpid(child, nullptr, 0);
    }
}

int run(std::uint16_t port) {
    const UniqueFd listener(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    const int on = 1;
    const int off = 0;
    setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) < 0 ||
        listen(listener.get(), SOMAXCONN) < 0) {
        std::perror("cannot listen");
        return 1;
    }
    for (;;) {
        if (const int fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) {
            std::thread(serve, fd).detach();
        } else {
            poll(nullptr, 0, kDripMs);
        }
    }
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const auto port = argc > 1 ? viscum::parse_decimal(argv[1], UINT16_MAX) : std::nullopt;
    if (!port) {
        std::fputs("usage: viscum-test-moody PORT [litter]\n", stderr);
        return 2;
    }
    if (argc > 2) {
        viscum::leave_litter();
    }
    return viscum::run(static_cast<std::uint16_t>(*port));
}
