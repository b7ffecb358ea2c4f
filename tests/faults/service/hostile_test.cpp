// SPDX-License-Identifier: GPL-2.0-only
// Clients that keep a service busy, and services that answer their health probe with anything but an answer: probes,
// viscumctl and the other services go on.
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/file.h"
#include "tests/faults/service/neighbour.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kConnections = 600;
constexpr std::size_t kOpenFiles = 256;        // of the service that they are all for
constexpr std::size_t kMostTaken = 8UL << 20;  // bytes of a flood: what the sockets' buffers hold, and not 64 MiB
constexpr std::uint64_t kMostGrowth = 1024;    // KiB

/// For as long as it lives this process may open many files.
class ManyFiles {
public:
    ManyFiles() {
        getrlimit(RLIMIT_NOFILE, &before_);
        rlimit more = before_;
        more.rlim_cur = std::min<rlim_t>(more.rlim_max, 4096);
        setrlimit(RLIMIT_NOFILE, &more);
    }
    ManyFiles(const ManyFiles&) = delete;
    ManyFiles& operator=(const ManyFiles&) = delete;
    ~ManyFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

/// Connections that say the beginning of a request, and then nothing, or a byte now and then.
class Slowloris {
public:
    Slowloris(const NetNs& ns, const Endpoint& to, std::size_t count) {
        const SocketAddress address = to_sockaddr(to);
        for (std::size_t number = 0; number < count; ++number) {
            auto fd = open_socket(ns, SOCK_STREAM, to, {});
            if (fd) {
                (void)connect(fd->get(), address.get(), address.length);
                if (wait_for_socket(fd->get(), POLLOUT, boot_now() + 1s)) {
                    say(fd->get(), "GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ");
                    sockets_.push_back(std::move(*fd));
                }
            }
        }
    }
    void say(std::string_view bytes) const {
        for (const UniqueFd& fd : sockets_) {
            say(fd.get(), bytes);
        }
    }
    [[nodiscard]] std::size_t count() const { return sockets_.size(); }

private:
    static void say(int fd, std::string_view bytes) {
        (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    std::vector<UniqueFd> sockets_;
};

/// Resident memory of viscum-prober, in KiB; 0: there is none.
std::uint64_t prober_memory() {
    const auto names = list_directory("/proc");
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        const auto status = read_file(cat("/proc/", name, "/status"), 8192);
        if (!status || !status->starts_with("Name:\tviscum-prober\n")) {
            continue;
        }
        const auto at = status->find("VmRSS:");
        const auto first = at == std::string::npos ? at : status->find_first_of("0123456789", at);
        return first == std::string::npos
                   ? 0
                   : parse_decimal(status->substr(first, status->find(' ', first) - first), UINT64_MAX).value_or(0);
    }
    return 0;
}

/// The largest number of bytes that a client, which is the prober, took in this mood; nullopt: none has ended yet.
std::optional<std::uint64_t> most_taken(const Scene& scene, const std::string& mood) {
    std::optional<std::uint64_t> most;
    for (const std::string& line : split(scene.ctl({"logs", "moody"}).out, '\n')) {
        const auto at = line.find(mood + " ");
        const auto bytes =
            at == std::string::npos ? std::nullopt : parse_decimal(line.substr(at + mood.size() + 1), UINT64_MAX);
        if (bytes) {
            most = std::max(most.value_or(0), *bytes);
        }
    }
    return most;
}

struct HostileReply {
    const char* mood;
    const char* reason;  // part of what the probe makes of it
};
constexpr HostileReply kHostileReplies[] = {
    {"endless", "no HTTP status in the first 8192 bytes"},
    {"nuls", "no HTTP status in the first 8192 bytes"},
    {"interim", "no HTTP status in the first 8192 bytes"},
    {"half", "no answer within 200ms"},
    {"tls", "no HTTP/1 status line"},
};

}  // namespace

TEST_CASE("fault 28: a service whose connections are all taken hurts nobody but itself") {
    const ManyFiles many;
    Scene scene;
    Neighbour neighbour(scene);
    set_mood("good");
    scene.deploy(moody_service(cat(eager_probe(), "limits: { open_files: ", kOpenFiles, ", required: false }\n")));
    CHECK(scene.web(kBad) == "local");
    {
        set_mood("silent");
        const Slowloris slow(scene.bed().client(1), kBad, kConnections);
        CHECK(slow.count() == kConnections);
        const std::string files = cat("/proc/", scene.processes_of("moody").front(), "/fd");
        CHECK(eventually(kLimit, [&] { return must(list_directory(files)).size() == kOpenFiles; }));
        // It would answer again, if it could take a connection.
        set_mood("good");
        CHECK(becomes_unhealthy(scene, "moody"));
        // It is told by its probe, and new clients have the cloud.
        CHECK(scene.web(kBad) == "cloud");
        for (int time = 0; time < 5; ++time) {
            slow.say("a");
            CHECK(scene.ctl({"list"}).success());
            CHECK(scene.status("web").health == "healthy");
            CHECK(scene.web(kWeb, 1) == "local");
            CHECK(scene.web(kWeb6, 1) == "local");
        }
    }
    // The slow ones are gone: it is served again.
    CHECK(eventually(kLimit, [&] { return scene.status("moody").admission == "serve"; }));
    CHECK(scene.web(kBad) == "local");
    neighbour.check();
    check_end(scene, {"web", "moody"});
}

TEST_CASE("fault 31: whatever a service answers to its probe, the prober reads little of it and judges it unhealthy") {
    Scene scene;
    Neighbour neighbour(scene);
    set_mood("good");
    scene.deploy(moody_service(eager_probe()));
    const std::uint64_t before = prober_memory();
    CHECK(before > 0);
    for (const auto& [mood, reason] : kHostileReplies) {
        CAPTURE(mood);
        set_mood(mood);
        CHECK(becomes_unhealthy(scene, "moody"));
        mentions(scene.status("moody").reason, reason);
        CHECK(scene.web(kBad) == "cloud");
        CHECK(eventually(kLimit, [&] { return most_taken(scene, mood).has_value(); }));
        CHECK(most_taken(scene, mood).value_or(UINT64_MAX) < kMostTaken);
        scene.ctl({"remove", "moody"});
        set_mood("good");
        scene.deploy(moody_service(eager_probe()));
        CHECK(scene.web(kBad) == "local");
    }
    // A true status before a flood is a status.
    set_mood("body");
    CHECK(eventually(kLimit, [&] { return most_taken(scene, "body").has_value(); }));
    CHECK(scene.status("moody").health == "healthy");
    CHECK(most_taken(scene, "body").value_or(UINT64_MAX) < kMostTaken);
    const std::uint64_t after = prober_memory();
    MESSAGE("viscum-prober: ", before, " KiB before, ", after, " KiB after");
    CHECK(after > 0);
    CHECK(after <= before + kMostGrowth);
    CHECK(scene.status("web").health == "healthy");
    neighbour.check();
    check_end(scene, {"web", "moody"});
}

}  // namespace viscum
