// SPDX-License-Identifier: GPL-2.0-only
// A service that turned evil.
//   viscum-test-attacker attack [WORD...]   tries everything; serves its report on TCP port 80 of all addresses, with a
//                                           last line "END", and writes it to standard output
//   viscum-test-attacker report [WORD...]   the same to standard output alone, then ends
//   viscum-test-attacker obey               serves, and does what a path asks for, in its main process: /eat, /fork,
//                                           /flood (20 MiB to standard output), /core
//   viscum-test-attacker daemonize          leaves a process behind in a session of its own, twice removed, and serves
//   viscum-test-attacker who                its effective user id
// WORD: read=PATH, socket=PATH, peer=NAME,ADDRESS,PORT, setuid=PATH, harmless
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/e2e/attacker/attack.h"

namespace viscum {
namespace {

using Words = std::vector<std::string>;
constexpr int kFloodKiB = 20 * 1024;

Peer peer_of(const std::string& text) {
    const auto first = text.find(',');
    const auto last = text.rfind(',');
    return {text.substr(0, first), text.substr(first + 1, last - first - 1),
            static_cast<std::uint16_t>(std::atoi(text.substr(last + 1).c_str()))};
}

Knowledge knowledge_of(const Words& words) {
    Knowledge knowledge;
    for (const auto& word : words) {
        const auto equals = word.find('=');
        const std::string key = word.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
        if (key == "read") {
            knowledge.paths.push_back(value);
        } else if (key == "socket") {
            knowledge.sockets.push_back(value);
        } else if (key == "peer") {
            knowledge.peers.push_back(peer_of(value));
        } else if (key == "setuid") {
            knowledge.setuid_program = value;
        } else if (key == "harmless") {
            knowledge.harmless = true;
        }
    }
    return knowledge;
}

Items all_items(const Knowledge& knowledge) {
    Items items;
    add_network_items(items, knowledge);
    add_file_items(items, knowledge);
    add_process_items(items, knowledge);
    add_kernel_items(items, knowledge);
    return items;
}

void say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

/// What exhausts something comes last and by itself.
void attack(const Knowledge& knowledge, const std::function<void(const std::string&)>& tell) {
    run_items(all_items(knowledge), tell);
    Items exhausting;
    add_resource_items(exhausting, knowledge);
    for (const Item& item : exhausting) {
        run_items({item}, tell);
    }
}

UniqueFd listen_on_web() {
    UniqueFd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(80);
    const int on = 1;
    const int off = 0;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) < 0 || listen(fd.get(), 64) < 0) {
        std::perror("cannot listen");
        std::exit(1);
    }
    return fd;
}

/// Returns what was asked for: "GET /path HTTP/1.0…".
std::string answer(int listener, const std::string& body) {
    const UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 4096> request{};
    const ssize_t size = fd ? recv(fd.get(), request.data(), request.size(), 0) : -1;
    if (size <= 0) {
        return {};
    }
    const std::string text = cat("HTTP/1.0 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
    (void)send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    return {request.data(), static_cast<std::size_t>(size)};
}

/// The attempts run in a child, while this process serves what they have told so far.
int attack_and_serve(const Knowledge& knowledge) {
    const UniqueFd listener = listen_on_web();
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) {
        return 1;
    }
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    if (fork() == 0) {
        attack(knowledge, [&](const std::string& line) {
            say(line);
            const std::string text = cat(line, "\n");
            (void)!write(writer.get(), text.data(), text.size());
        });
        (void)!write(writer.get(), "END\n", 4);
        std::exit(0);
    }
    writer.reset();
    std::string report;
    std::array<pollfd, 2> watched{{{listener.get(), POLLIN, 0}, {reader.get(), POLLIN, 0}}};
    std::array<char, 65'536> buffer{};
    while (poll(watched.data(), watched.size(), -1) > 0) {
        if ((watched[1].revents & (POLLIN | POLLHUP)) != 0) {
            const ssize_t size = read(reader.get(), buffer.data(), buffer.size());
            report.append(buffer.data(), static_cast<std::size_t>(size > 0 ? size : 0));
            watched[1].fd = size > 0 ? reader.get() : -1;
        }
        if ((watched[0].revents & POLLIN) != 0) {
            answer(listener.get(), report);
        }
    }
    return 1;
}

void flood() {
    std::string line(1024, 'x');
    line.back() = '\n';
    for (int written = 0; written < kFloodKiB; ++written) {
        (void)!write(1, line.data(), line.size());
    }
    say("flooded");
}

int obey() {
    const UniqueFd listener = listen_on_web();
    std::string body = "ready\n";
    for (;;) {
        const std::string request = answer(listener.get(), body);
        const auto asks = [&request](const char* path) { return request.starts_with(cat("GET ", path, " ")); };
        Attempt attempt;
        if (asks("/eat")) {
            attempt = eat_memory();
        } else if (asks("/fork")) {
            attempt = fork_bomb();
        } else if (asks("/flood")) {
            flood();
        } else if (asks("/core")) {
            std::abort();
        } else {
            continue;
        }
        body = cat(attempt.done ? "DONE " : "denied ", attempt.text, "\n");
        say(body);
    }
}

/// fork, setsid, fork: as daemons of old get away from whoever started them.
int daemonize() {
    const UniqueFd listener = listen_on_web();
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
                signal(number, SIG_IGN);
            }
            for (;;) {
                pause();
            }
        }
        _exit(0);
    }
    wait(nullptr);
    for (;;) {
        answer(listener.get(), "left one behind");
    }
}

int run(const Words& words) {
    const std::string verb = words.empty() ? "" : words[0];
    setsid();
    signal(SIGPIPE, SIG_IGN);
    if (verb == "who") {
        std::printf("euid %u", geteuid());
        return 0;
    }
    if (verb == "attack") {
        return attack_and_serve(knowledge_of(words));
    }
    if (verb == "report") {
        attack(knowledge_of(words), say);
        return 0;
    }
    if (verb == "obey") {
        return obey();
    }
    if (verb == "daemonize") {
        return daemonize();
    }
    std::fputs("usage: viscum-test-attacker {attack|report|obey|daemonize|who} [WORD...]\n", stderr);
    return 2;
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    return viscum::run({argv + 1, argv + argc});
}
