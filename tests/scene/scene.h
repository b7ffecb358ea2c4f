// SPDX-License-Identifier: GPL-2.0-only
// What every end-to-end test starts from: a bed, nginx in the cloud, and viscumd in the hotspot. What goes wrong while
// it is set up ends the test.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/text.h"
#include "controller/ipc/report.h"
#include "tests/scene/service_file.h"
#include "tests/support/bed.h"
#include "tests/support/flow_client.h"
#include "tests/support/http_client.h"
#include "tests/support/leak.h"
#include "tests/support/servers.h"
#include "tests/support/udp_client.h"
#include "tests/support/viscumd.h"

namespace viscum {

extern const Endpoint kWeb;   // 203.0.113.10:80
extern const Endpoint kWeb6;  // [2001:db8:c::10]:80
extern const Endpoint kDns;   // 203.0.113.53:53

/// Longer than anything takes that is not broken.
constexpr Millis kLimit{20'000};

/// The value, or the end of the test with the error's text.
template <class T>
T must(Result<T> result) {
    REQUIRE_MESSAGE(result, (result ? "" : result.error().what));
    return *std::move(result);
}
inline void must(const Status& status) {
    REQUIRE_MESSAGE(status, (status ? "" : status.error().what));
}

/// Polls until `condition` holds; false when `limit` has passed.
bool eventually(Millis limit, const std::function<bool()>& condition);

class Scene {
public:
    struct Options {
        BedOptions bed{};
        std::string config_lines = "lan: [br-lan]\n";  // of viscum.yaml, beside `claimable:`
    };
    explicit Scene(const Options& options);
    Scene() : Scene(Options{}) {}
    /// Ends viscumd and all services, and takes away what they left, so that a test that failed is no burden to others.
    ~Scene();
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    /// viscum.yaml with other lines; viscumd reads it at its start and on SIGHUP.
    void write_config(const std::string& lines) const;
    [[nodiscard]] Bed& bed() { return *bed_; }
    [[nodiscard]] Viscumd& viscumd() { return *viscumd_; }
    /// Beside nginx, which answers as "cloud" on port 80 of every address. To be called before anything is deployed.
    void start_in_cloud(const Result<Server>& server, std::uint16_t port);

    /// Ends viscumd and all services, takes away what does not survive a reboot, and starts viscumd.
    void reboot();

    /// Who answers an HTTP request of `client`.
    [[nodiscard]] std::string web(const Endpoint& to = kWeb, int client = 1) const;
    /// Who answers a datagram to a server of tests/e2e/server.
    [[nodiscard]] std::string echo(const Endpoint& to, int client = 1) const;
    /// A client without pause, against kWeb where nothing else is said.
    [[nodiscard]] std::unique_ptr<FlowClient> flow(const Endpoint& to = kWeb, int client = 2) const;

    /// viscumctl; a code other than `expected` fails the test and is shown with what was said.
    RunOutput ctl(const Argv& arguments, int expected = 0) const;
    RunOutput deploy(const ServiceFile& file, int expected = 0) const;
    [[nodiscard]] DaemonReport report() const;
    /// An empty report where there is no such service.
    [[nodiscard]] ServiceReport status(const std::string& service) const;
    /// The service's processes but its shim, its main process first.
    [[nodiscard]] std::vector<pid_t> processes_of(const std::string& service) const;
    /// SIGKILL to the service's main process; returns once it is gone.
    void kill_service(const std::string& service) const;
    void signal_service(const std::string& service, int number) const;

    /// LEAK: nothing is left but what was there when viscumd had started, without services.
    void check_no_leak();

private:
    /// Ends viscumd and all services. Their namespaces, links and filters go, and what stands in these directories.
    void end_all(const std::vector<std::string>& directories);

    std::unique_ptr<Bed> bed_;
    std::vector<Program> cloud_;
    std::unique_ptr<Viscumd> viscumd_;
    Snapshot before_;
};

/// For leaks_since() while a service runs: a probe under way is a socket of viscumd's, and then of
/// viscum-prober's.
bool is_probe(const std::string& line);

/// Every request was answered, and at most `resets` connections were reset. Shown with `what` in the test's output.
void check_flow(const std::string& what, const FlowSummary& summary, std::size_t resets = 0);

/// How many connections of one client may be reset while a service's place changes so often: none, but in the classic
/// grade the one whose handshake is under way (docs/limits.md).
std::size_t resets_of_changes(std::size_t changes);

}  // namespace viscum
