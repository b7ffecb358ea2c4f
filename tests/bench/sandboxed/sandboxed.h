// SPDX-License-Identifier: GPL-2.0-only
// A program as viscumd starts a service: under viscum-shim, in its sandbox, in control groups with its limits; but in
// whatever network namespace the benchmark chooses, and without viscumd.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "controller/sandbox/cgroup.h"
#include "controller/spec/service_spec.h"
#include "controller/supervise/process.h"
#include "netns/net_ns.h"

namespace viscum {

class Sandboxed {
public:
    /// `groups` are open for the instance "bench", and outlive it. `name` is unique as long as it runs: of its groups,
    /// of its directory in /run, and of its log. Of `spec`, what `run:` and `limits:` say. Returns before the program
    /// runs.
    static Result<Sandboxed> start(const Cgroups& groups, const std::string& name, ServiceSpec spec, const NetNs& ns);

    Sandboxed(Sandboxed&& other) noexcept = default;
    Sandboxed& operator=(Sandboxed&&) = delete;
    /// Kills it with all it started.
    ~Sandboxed();

    /// What it wrote.
    [[nodiscard]] Result<std::string> log() const;
    /// Waits for its end, and removes its groups. To be called once.
    Result<ExitStatus> finish();

private:
    Sandboxed(const Cgroups& groups, std::string name, Process process)
        : groups_(&groups), name_(std::move(name)), process_(std::make_unique<Process>(std::move(process))) {}

    const Cgroups* groups_;
    std::string name_;
    std::unique_ptr<Process> process_;  // none once it was waited for
};

}  // namespace viscum
