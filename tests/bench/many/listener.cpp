// SPDX-License-Identifier: GPL-2.0-only
// As little as a service can be: listens on TCP port ARGV[1] of all addresses, IPv4, and answers every connection with
// a whole HTTP response, "local". One connection at a time; its memory is that of a static program that allocates
// nothing.
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr char kAnswer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nlocal\n";
constexpr int kBacklog = 64;

/// A client that says nothing (a probe that connects and closes) reads as an end of file.
void serve(int connection) {
    char request[1024];
    if (read(connection, request, sizeof request) > 0) {
        (void)!write(connection, kAnswer, sizeof kAnswer - 1);
    }
    // UniqueFd, which closes elsewhere, needs headers that a program without a C++ runtime has not.
    const unsigned only = static_cast<unsigned>(connection);
    syscall(SYS_close_range, only, only, 0);
}

}  // namespace

int main(int argc, char** argv) {
    const int port = argc > 1 ? atoi(argv[1]) : 0;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, reinterpret_cast<const struct sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, kBacklog) != 0) {
        return 1;
    }
    for (;;) {
        const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection >= 0) {
            serve(connection);
        }
    }
}
