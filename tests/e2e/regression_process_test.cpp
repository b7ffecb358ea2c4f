// SPDX-License-Identifier: GPL-2.0-only
// How a service's process starts, ends, and is taken over.
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <array>

#include "base/file.h"
#include "tests/scene/scene.h"
#include "tests/support/process_tree.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kReply = 128 * 1024;  // bytes; fits into any socket's buffer

/// The soft limit of a line of /proc/PID/limits; 0: unlimited, or no such process.
std::uint64_t soft_file_limit(pid_t pid) {
    constexpr std::string_view kName = "Max open files";
    const auto limits = read_file(cat("/proc/", pid, "/limits"), 4096);
    const std::size_t at = limits ? limits->find(kName) : std::string::npos;
    if (at == std::string::npos) {
        return 0;
    }
    const std::size_t first = limits->find_first_not_of(' ', at + kName.size());
    return parse_decimal(limits->substr(first, limits->find(' ', first) - first), UINT64_MAX).value_or(0);
}

/// A connection to kWeb that has asked, and whose window holds next to nothing of the answer.
UniqueFd ask_and_wait(const NetNs& client) {
    auto fd = must(open_socket(client, SOCK_STREAM, kWeb, {}));
    const int small = 2048;
    REQUIRE(setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    const SocketAddress address = to_sockaddr(kWeb);
    (void)connect(fd.get(), address.get(), address.length);
    REQUIRE(wait_for_socket(fd.get(), POLLOUT, boot_now() + 5s));
    constexpr std::string_view kRequest = "GET / HTTP/1.0\r\n\r\n";
    REQUIRE(send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kRequest.size()));
    return fd;
}

/// What is there until the other end closes; shorter where the connection is reset or says nothing.
std::string read_to_the_end(int fd) {
    std::string text;
    std::array<char, 65'536> buffer{};
    while (wait_for_socket(fd, POLLIN, boot_now() + 10s)) {
        const ssize_t size = recv(fd, buffer.data(), buffer.size(), 0);
        if (size <= 0) {
            CHECK_MESSAGE(size == 0, "the connection broke: ", errno);
            break;
        }
        text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return text;
}

bool exists(pid_t pid) {
    return parent_of(pid) != 0;
}

}  // namespace

TEST_CASE("process: one that ended and is never to start again stays ended over restarts of viscumd") {
    Scene scene;
    const ServiceFile file{
        "web", {"203.0.113.10 80"}, {"/usr/bin/sleep", "0.5"}, "health: { process: {} }\nrestart: { policy: never }\n"};
    scene.deploy(file);
    CHECK(eventually(kLimit, [&] { return scene.status("web").state == "failed"; }));
    for (const bool killed : {false, true}) {
        CAPTURE(killed);
        killed ? scene.viscumd().kill() : scene.viscumd().stop();
        must(scene.viscumd().start_again());
        const ServiceReport after = scene.status("web");
        CHECK(after.state == "failed");
        CHECK(after.last_exit == "exited with 0");
        CHECK(after.pid == 0);
        // The file goes with the next launch.
        CHECK(must(read_file("/run/viscum/runs/web.0/exit", 4096)) == "exited 0\n");
    }
    CHECK(scene.web() == "cloud");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("process: one that another viscumd described in words of its own is replaced by its file's") {
    Scene scene;
    scene.deploy(web_service());
    const std::string too_long(300'000, '#');
    for (const std::string& garbage :
         {std::string("viscum: 99\nnovelty: true\n"), std::string(), std::string("\xff\xfe{["),
          std::string("viscum: 1\nname: another\n"), too_long}) {
        CAPTURE(garbage.substr(0, 40));
        const auto before = scene.processes_of("web");
        REQUIRE_FALSE(before.empty());
        const std::string directory = scene.status("web").namespace_name == "viscum-web" ? "web.0" : "web.1";
        scene.viscumd().kill();
        must(write_file_atomically(cat("/run/viscum/runs/", directory, "/spec"), garbage, 0600));
        must(scene.viscumd().start_again());
        CHECK(eventually(kLimit, [&] { return scene.web() == "local" && !scene.status("web").updating; }));
        CHECK(eventually(kLimit, [&] { return !exists(before.front()); }));
        CHECK(scene.status("web").state == "up");
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("process: what it wrote before it ended reaches the client") {
    Scene scene;
    ServiceFile file = test_service("web", {"203.0.113.10 80"},
                                    {"--once", std::to_string(kReply / 1024), "local", "tcp", "0.0.0.0", "80"});
    file.more = "health: { tcp: { port: 80 } }\nrestart: { policy: never }\n";
    scene.deploy(file);
    const UniqueFd client = ask_and_wait(scene.bed().client(1));
    CHECK(eventually(kLimit, [&] { return scene.status("web").state == "failed"; }));
    CHECK(scene.status("web").admission == "drain");
    CHECK(scene.web(kWeb, 2) == "cloud");
    const std::string reply = read_to_the_end(client.get());
    const std::size_t body = reply.find("\r\n\r\n");
    REQUIRE(body != std::string::npos);
    CHECK(reply.size() - body - 4 == kReply);
    CHECK(reply.substr(body + 4, 5) == "local");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("process: it has the customary limit of open files, and not viscumd's") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(soft_file_limit(scene.viscumd().pid()) > 1024);
    for (const pid_t process : scene.processes_of("web")) {
        CHECK(soft_file_limit(process) > 0);
        CHECK(soft_file_limit(process) <= 1024);
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
