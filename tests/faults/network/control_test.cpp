// SPDX-License-Identifier: GPL-2.0-only
// The control socket in the hands of somebody who means no good: refused, bounded, and the others are served meanwhile.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/file.h"
#include "controller/ipc/frame.h"
#include "tests/faults/network/faults.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr const char* kSocket = "/run/viscum/viscumd.sock";

constexpr std::size_t kMostClients = 32;  // 16, and what viscumd does besides
constexpr std::size_t kSomeClients = 8;

/// Non-blocking, so that a full backlog is no place to wait in; invalid where the kernel refuses.
UniqueFd knock() {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, kSocket);
    bool connected = false;
    (void)eventually(1s, [&] {
        connected = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        return connected || errno != EAGAIN;
    });
    return connected ? std::move(fd) : UniqueFd();
}

/// So many connections, nearly all of which must stand.
std::vector<UniqueFd> knock_often(std::size_t count, const std::function<void(std::size_t, const UniqueFd&)>& then) {
    std::vector<UniqueFd> fds;
    std::size_t connected = 0;
    for (std::size_t number = 0; number < count; ++number) {
        fds.push_back(knock());
        connected += fds.back() ? 1U : 0U;
        then(number, fds.back());
    }
    CHECK(10 * connected >= 9 * count);
    return fds;
}

bool say(const UniqueFd& fd, const std::string& bytes) {
    return send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

/// Whether viscumd hangs up, after whatever it says.
bool is_closed(const UniqueFd& fd) {
    return eventually(kLimit, [&] {
        char bytes[4096];
        const auto got = recv(fd.get(), bytes, sizeof bytes, 0);
        return got == 0 || (got < 0 && errno != EAGAIN);
    });
}

/// The answer to one request; empty where the connection ends before.
std::string answer(const UniqueFd& fd) {
    FrameReader reader;
    std::optional<std::string> whole;
    (void)eventually(kLimit, [&] {
        char bytes[4096];
        const auto got = recv(fd.get(), bytes, sizeof bytes, 0);
        if (got > 0 && reader.feed({bytes, static_cast<std::size_t>(got)})) {
            whole = reader.next();
        }
        return whole || got == 0 || (got < 0 && errno != EAGAIN);
    });
    return whole.value_or("");
}

std::string length(std::uint32_t bytes) {
    const std::uint32_t wire = htonl(bytes);
    return {reinterpret_cast<const char*>(&wire), 4};
}

std::string status_request() {
    Request request;
    request.verb = "list";
    return encode(request);
}

std::size_t kilobytes(pid_t pid, const std::string& key) {
    const std::string text = must(read_file(cat("/proc/", pid, "/status"), 65'536));
    const auto at = text.find(key + ":");
    return at == std::string::npos ? 0 : std::strtoul(text.c_str() + at + key.size() + 1, nullptr, 10);
}

std::size_t descriptors(pid_t pid) {
    return must(list_directory(cat("/proc/", pid, "/fd"))).size();
}

/// What another uid gets of the socket: 0 nothing to connect to, 1 a connection that is closed unanswered, 2 an answer.
int tried_as_nobody() {
    const pid_t child = fork();
    if (child == 0) {
        if (setgid(65'534) != 0 || setuid(65'534) != 0) {
            _exit(9);
        }
        const UniqueFd fd = knock();
        sockaddr_un peer{};
        socklen_t size = sizeof peer;
        if (!fd || getpeername(fd.get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
            _exit(0);
        }
        _exit(say(fd, status_request()) && !answer(fd).empty() ? 2 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 9;
}

bool pass_descriptor(const UniqueFd& fd, const std::string& bytes, int passed) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    return sendmsg(fd.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

/// viscumd before, and how long an operator beside the abuse waited at most.
class Watch {
public:
    explicit Watch(Scene& scene)
        : scene_(scene), saved_(disk(scene)), descriptors_(descriptors(pid())), memory_(kilobytes(pid(), "VmRSS")) {}

    /// An operator gets an answer.
    void others_are_served() {
        const BootTime begin = boot_now();
        CHECK(scene_.viscumd().ctl({"status", "web"}).status == 0);
        longest_ = std::max(longest_, std::chrono::duration<double, std::milli>(boot_now() - begin).count());
    }
    /// Clients are connected, and no more than viscumd has room for.
    void some_are_there() {
        CHECK(eventually(kLimit, [&] { return descriptors(pid()) >= descriptors_ + kSomeClients; }));
        CHECK(descriptors(pid()) <= descriptors_ + kMostClients);
    }
    void end() {
        CHECK(eventually(kLimit, [&] { return descriptors(pid()) <= descriptors_; }));
        const std::size_t peak = kilobytes(pid(), "VmHWM");
        MESSAGE("viscumd: ", memory_, " KiB before, ", peak, " KiB at most; an operator waited ", longest_,
                " ms at most");
        CHECK(peak < memory_ + 32 * 1024);
        CHECK(scene_.viscumd().running());
        check_state(scene_, saved_, saved_);
        CHECK(join(complaints(scene_), "\n") == "");
    }
    [[nodiscard]] pid_t pid() const { return scene_.viscumd().pid(); }

private:
    Scene& scene_;
    DiskState saved_;
    std::size_t descriptors_;
    std::size_t memory_;
    double longest_ = 0;
};

}  // namespace

TEST_CASE("fault 32: what is no message is refused, and a message cut at any byte is no harm") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    Watch watch(scene);
    const std::string good = status_request();
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"a length of 0", length(0)},
        {"a length of 1 GiB", length(1U << 30)},
        {"a length of 4 GiB less 1", length(~0U)},
        {"one byte more than fits", length(static_cast<std::uint32_t>(kMaxFrame) + 1)},
        {"no frame at all", "GET / HTTP/1.0\r\n\r\n"},
    };
    for (const auto& [what, bytes] : wrong) {
        CAPTURE(what);
        const UniqueFd fd = knock();
        REQUIRE(fd);
        CHECK(say(fd, bytes));
        CHECK(is_closed(fd));
        watch.others_are_served();
    }
    const std::vector<std::pair<std::string, std::string>> nonsense = {
        {"no JSON", "\x01\xff\x7f"},
        {"200,000 arrays", std::string(200'000, '[')},
        {"a list", "[]"},
        {"no verb", "{}"},
        {"a verb that is a number", R"({"verb":1,"service":"","wait_ms":0,"files":[]})"},
        {"an unknown verb", R"({"verb":"format","service":"","wait_ms":0,"files":[]})"},
        {"a service's name from elsewhere", R"({"verb":"remove","service":"../../etc","wait_ms":0,"files":[]})"},
        {"a huge number", R"({"verb":"list","service":"","wait_ms":1e999,"files":[]})"},
    };
    for (const auto& [what, json] : nonsense) {
        CAPTURE(what);
        const UniqueFd fd = knock();
        REQUIRE(fd);
        CHECK(say(fd, length(static_cast<std::uint32_t>(json.size())) + json));
        const auto said = decode_response(answer(fd));
        REQUIRE(said);
        CHECK(said->code != Code::done);
        watch.others_are_served();
    }
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        CAPTURE(cut);
        const UniqueFd fd = knock();
        REQUIRE(fd);
        CHECK((cut == 0 || say(fd, good.substr(0, cut))));
    }
    watch.others_are_served();
    watch.end();
    const FlowSummary seen = flow->stop();
    check_flow("a client beside it", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 32: a thousand idle clients, slow ones, and ones that never read keep nobody out") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    Watch watch(scene);
    std::vector<UniqueFd> idle = knock_often(1'000, [&](std::size_t number, const UniqueFd&) {
        if (number % 100 == 99) {
            watch.others_are_served();
        }
    });
    watch.some_are_there();
    // A byte at a time: each of these would make a whole request one day.
    const std::string good = status_request();
    std::vector<UniqueFd> slow = knock_often(16, [](std::size_t, const UniqueFd&) {});
    for (std::size_t at = 0; at < 20; ++at) {
        for (const UniqueFd& fd : slow) {
            CHECK((say(fd, good.substr(at, 1)) || &fd != &slow.back()));
        }
        if (at % 4 == 3) {
            watch.others_are_served();  // in the place of who came first
        }
    }
    watch.some_are_there();
    CHECK(say(slow.back(), good.substr(20)));
    const auto finished = decode_response(answer(slow.back()));
    REQUIRE(finished);
    CHECK(finished->code == Code::done);
    // Requests without end, and nobody reads the answers.
    std::size_t requests = 0;
    std::vector<UniqueFd> deaf = knock_often(16, [&](std::size_t, const UniqueFd& fd) {
        for (int request = 0; request < 2'000 && say(fd, good); ++request) {
            ++requests;
        }
        watch.others_are_served();
    });
    MESSAGE(requests, " requests of clients that never read");
    CHECK(requests > 1'000);
    watch.some_are_there();
    // Descriptors in place of words.
    const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd giver = knock();
    REQUIRE(giver);
    CHECK(pass_descriptor(giver, good, null.get()));
    CHECK_FALSE(answer(giver).empty());
    watch.some_are_there();
    idle.clear();
    slow.clear();
    deaf.clear();
    watch.end();
    const FlowSummary seen = flow->stop();
    check_flow("a client beside them", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 32: another user's process gets nothing, not even where somebody opened the doors") {
    Scene scene;
    scene.deploy(web_service());
    Watch watch(scene);
    CHECK(tried_as_nobody() == 0);
    REQUIRE(chmod("/run/viscum", 0777) == 0);
    REQUIRE(chmod(kSocket, 0777) == 0);
    CHECK(tried_as_nobody() == 1);
    watch.others_are_served();
    REQUIRE(chmod(kSocket, 0600) == 0);
    REQUIRE(chmod("/run/viscum", 0750) == 0);
    watch.end();
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
