// SPDX-License-Identifier: GPL-2.0-only
// Where fail-over is measured: a bed, nginx in the cloud, viscumd, and a client with many addresses.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "controller/ipc/report.h"
#include "tests/support/bed.h"
#include "tests/support/flow_client.h"
#include "tests/support/viscumd.h"

namespace viscum {

/// nginx as a service that answers "local", while the cloud answers "cloud".
struct Local {
    std::string name;
    std::string address;
    bool master = false;  // with a worker, which answers
    std::string more{};   // lines of its service file
};

/// Everything that goes wrong here is the end.
class Stage {
public:
    Stage();

    void deploy(const Local& local);
    /// A new process with a clean record; returns once a client has its answer.
    void restart(const Local& local);
    /// Returns once a client, one beside those of from_fresh_address(), is answered by `who`.
    void await(const Local& local, const std::string& who);
    void ctl(const Argv& arguments) const;
    /// The service's processes but the shim, of which there is one at least; the first is its main process: of nginx
    /// with a master, the master.
    [[nodiscard]] std::vector<pid_t> processes_of(const Local& local) const;

    /// A request from an address that was in no request before: no port waits, and nothing is tracked.
    HttpRequest from_fresh_address(const Local& local);
    [[nodiscard]] const NetNs& client() const { return bed_->client(1); }
    [[nodiscard]] Viscumd& viscumd() { return *viscumd_; }

private:
    std::unique_ptr<Bed> bed_;
    std::optional<Program> cloud_;
    std::optional<Viscumd> viscumd_;
    int addresses_ = 0;  // used
};

/// Waits until `flow` has made so many connections.
void await_count(const FlowClient& flow, std::size_t count);

}  // namespace viscum
