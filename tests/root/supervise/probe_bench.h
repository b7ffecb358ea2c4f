// SPDX-License-Identifier: GPL-2.0-only
// A namespace that owns addresses, a loop, and the real prober; servers live in the same loop, and do what the test
// says, byte by byte.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "controller/supervise/health.h"
#include "controller/supervise/prober.h"
#include "tests/root/supervise/fixture.h"

namespace viscum {

extern const IpAddress kAddress;
extern const IpAddress kAddress6;
constexpr std::uint16_t kPort = 8080;
constexpr uid_t kProberUser = 1'879'048'199;

struct Bench {
    explicit Bench(std::string prober_path = VISCUM_BIN_DIR "/viscum-prober");
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    [[nodiscard]] UniqueFd bound(int type, const IpAddress& address) const;
    /// Starts one, as the daemon does. `run_dir` and `shim_path` are the test's to set.
    std::unique_ptr<Probe> start(const HealthSpec& spec, std::function<void(const ProbeResult&)> done,
                                 const IpAddress& target = kAddress);
    /// Probes, and runs the loop until the answer and for `after` more.
    ProbeResult probe(const HealthSpec& spec, const IpAddress& target = kAddress, Millis after = Millis(0));
    /// Runs the loop until `condition` holds, for 10 s at most.
    bool until(const std::function<bool()>& condition);
    void run_for(Millis time);

    NetNs home;  // of this process
    NetNs ns;
    std::unique_ptr<EventLoop> loop;
    std::vector<std::string> told;  // by the prober's owner
    Prober prober;
    std::string shim_path;
    std::string run_dir;
};

/// Accepts; the connections stay open until the server goes. `serve` sees each when it is readable.
class TcpServer {
public:
    using Serve = std::function<void(int fd, UniqueFd& owner)>;
    TcpServer(const Bench& bench, Serve serve, const IpAddress& address = kAddress);
    ~TcpServer();
    TcpServer(const TcpServer&) = delete;
    TcpServer& operator=(const TcpServer&) = delete;

    std::string request;  // of all connections
    int accepted = 0;
    bool saw_reset = false;

private:
    void accept();
    void read(UniqueFd& owner);

    EventLoop& loop_;
    UniqueFd listener_;
    Serve serve_;
    std::list<UniqueFd> connections_;
};

/// Starts the prober, and waits until its cage is shut: it answers.
pid_t caged(Bench& bench);
std::size_t descriptors_of(pid_t pid);

void say(int fd, std::string_view text);
/// A server that says `text` to each request and closes.
TcpServer::Serve answer(const std::string& text);

HealthSpec with(decltype(HealthSpec::probe) probe, Millis timeout = Millis(2000));
HttpProbe http(std::string path = "/healthz");

inline const ProbeResult kHealthy{true, false, ""};
inline const ProbeResult kRefused{false, true, "connection refused"};
ProbeResult unhealthy(std::string reason);
ProbeResult unasked(std::string reason);

}  // namespace viscum
