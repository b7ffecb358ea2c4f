// SPDX-License-Identifier: GPL-2.0-only
// Rows 6, 7, 9, 13, 27, 28, 32: something runs out, and somebody takes more than his share.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "base/file.h"
#include "tests/bench/overload/flood.h"
#include "tests/faults/soak/steps.h"

namespace viscum {
namespace {

constexpr int kFlooder = 3;
constexpr std::uint64_t kFlood = 20'000;
constexpr std::size_t kConnections = 200;
constexpr std::size_t kIdleClients = 20;

/// One page stays free or none.
Fault fill_disk(Stage&, Dice& dice) {
    const std::string directory = one_of(dice, SmallDisks::directories());
    const std::string path = directory + "/fill";
    {
        const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        if (!fd) {
            return not_begun(cat(directory, " takes no other file"));
        }
        const std::string block(4096, 'x');
        while (write(fd.get(), block.data(), block.size()) > 0) {
        }
    }
    return {cat(directory, " is full"), {}, [path] {
                unlink(path.c_str());
                return std::string();
            }};
}

Fault limit_descriptors(Stage& stage, Dice& dice) {
    const pid_t pid = stage.viscumd().pid();
    const auto open_now = list_directory(cat("/proc/", pid, "/fd"));
    rlimit before{};  // the test's own: viscumd inherited it, and another step may have lowered its own already
    if (pid == 0 || !open_now || getrlimit(RLIMIT_NOFILE, &before) != 0) {
        return not_begun("viscumd is away");
    }
    const rlimit now{open_now->size() + below(dice, 4), before.rlim_max};
    prlimit(pid, RLIMIT_NOFILE, &now, nullptr);
    return {cat("viscumd may open ", now.rlim_cur, " descriptors, and has ", open_now->size()),
            {losses("control", 20)},
            [pid, before] {
                prlimit(pid, RLIMIT_NOFILE, &before, nullptr);
                return std::string();
            }};
}

/// A flood in a thread of its own, until it is over.
template <class Flood>
Fault begin_flood(const std::string& what, std::vector<Allowance> allows, Flood flood) {
    auto thread = std::make_shared<std::jthread>(std::move(flood));
    return {what, std::move(allows), [thread] {
                thread->request_stop();
                thread->join();
                return std::string();
            }};
}

Fault flood_syns(Stage& stage, Dice& dice) {
    const FloodOptions options{kWeb, kFlood, kFlood, static_cast<std::uint32_t>(dice())};
    return begin_flood(cat(kFlood, " SYNs to web"), {}, [&stage, options](const std::stop_token& stopped) {
        (void)flood_with_syns(stage.bed().client(kFlooder), options, stopped);
    });
}

Fault flood_datagrams(Stage& stage, Dice& dice) {
    const FloodOptions options{Endpoint::of("203.0.113.53", 53), kFlood, kFlood, static_cast<std::uint32_t>(dice())};
    // The server's buffer overflows.
    return begin_flood(cat(kFlood, " datagrams to echo"), {losses("echo", 5)},
                       [&stage, options](const std::stop_token& stopped) {
                           (void)flood_with_datagrams(stage.bed().client(kFlooder), options, stopped);
                       });
}

Fault hold_connections(Stage& stage, Dice& dice) {
    const std::string said = below(dice, 2) == 0 ? "" : "GET / HTTP/1.1\r\nHost: slow";
    return begin_flood(
        cat(kConnections, " connections to web are held", said.empty() ? "" : ", half a request on each"), {},
        [&stage, said](const std::stop_token& stopped) {
            const auto held = HeldConnections::open(stage.bed().client(kFlooder), kWeb, kConnections, said, stopped);
            while (!stopped.stop_requested()) {
                std::this_thread::sleep_for(Millis(10));
            }
        });
}

UniqueFd connect_to_control(const Stage&, const std::string& path) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    (void)connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return fd;
}

/// More clients than there are places for, silent, or with a length of 4 GiB, or with random bytes.
Fault abuse_control(Stage& stage, Dice& dice) {
    const std::string path = stage.viscumd().instance().socket_path();
    auto clients = std::make_shared<std::vector<UniqueFd>>();
    std::string said;
    for (std::size_t left = below(dice, 64); left > 0; --left) {
        said += static_cast<char>(dice() % 256);
    }
    if (below(dice, 2) == 0) {
        said.insert(0, "\xff\xff\xff\xff");
    }
    for (std::size_t number = 0; number < kIdleClients; ++number) {
        clients->push_back(connect_to_control(stage, path));
        (void)send(clients->back().get(), said.data(), said.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return {cat(kIdleClients, " clients of the control socket that say ", said.size(), " bytes and stay"),
            {losses("control", 20)},
            [clients] {
                clients->clear();
                return std::string();
            }};
}

/// The path is obeyed by the attacker that is the service "box".
Fault obey(Stage& stage, const char* path, int deaths) {
    auto thread = std::make_shared<std::jthread>([&stage, path] {
        (void)http_get(stage.bed().client(kFlooder), {.to = Endpoint::of("203.0.113.21", 80), .path = path});
    });
    return {cat("box is asked for ", path), {resets("box", deaths)}, [thread] {
                thread->join();
                return std::string();
            }};
}

Fault eat_memory(Stage& stage, Dice&) {
    return obey(stage, "/eat", 1);
}
Fault fork_bomb(Stage& stage, Dice&) {
    return obey(stage, "/fork", 0);
}
Fault flood_log(Stage& stage, Dice&) {
    return obey(stage, "/flood", 0);
}

}  // namespace

const std::vector<Kind>& resource_kinds() {
    static const std::vector<Kind> kKinds = {
        {"full disk", Millis(3'000), fill_disk},
        {"few descriptors", Millis(3'000), limit_descriptors},
        {"SYN flood", Millis(2'000), flood_syns},
        {"UDP flood", Millis(2'000), flood_datagrams},
        {"connection flood", Millis(3'000), hold_connections},
        {"abuse of the control socket", Millis(3'000), abuse_control},
        {"memory runs out", Millis(1'000), eat_memory},
        {"fork bomb", Millis(1'000), fork_bomb},
        {"flood of a log", Millis(1'000), flood_log},
    };
    return kKinds;
}

}  // namespace viscum
