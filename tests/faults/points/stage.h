// SPDX-License-Identifier: GPL-2.0-only
// Where viscumd's operations are carried out, each as often as it takes: one scene, and one service that has a bit of
// everything (both families, an egress, files, a secret, limits, an http probe).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/faults/oracle/oracle.h"
#include "tests/faults/points/trials.h"
#include "tests/scene/scene.h"
#include "tests/support/syscall_tracer.h"

namespace viscum {

/// bare: viscumd never ran here.
enum class Before : std::uint8_t { bare, absent, up, drained, on_trial };

struct Operation {
    std::string name;  // "deploy"
    Before before = Before::up;
    bool starts_viscumd = false;
    bool ends_viscumd = false;
    bool updates = false;  // a version takes the place of another one
};
const std::vector<Operation>& operations();
/// nullptr: there is none of that name.
const Operation* find_operation(const std::string& name);

class Stage {
public:
    Stage();

    [[nodiscard]] Scene& scene() { return *scene_; }
    /// Everything as the operation finds it; viscumd runs, unless the operation starts it. Empty, or what went wrong.
    std::string prepare(const Operation& operation);
    /// Follows viscumd from now on; starts it where that is the operation.
    Result<std::unique_ptr<SyscallTracer>> trace(const Operation& operation, const SyscallTracer::Options& options);
    /// Carries the operation out; returns once that is answered or viscumd has ended.
    RunOutput act(const Operation& operation, const SyscallTracer& tracer);
    /// Nothing is left to do for viscumd. It is not asked.
    [[nodiscard]] bool finished(const Operation& operation, const SyscallTracer& tracer) const;

    /// The service is there, served and one, or drained; or not there at all. Nothing in between.
    [[nodiscard]] bool settled() const;
    /// What the disk holds, and what it is to hold once the operation is carried out. Trials are no part of it.
    [[nodiscard]] DiskState disk() const;
    [[nodiscard]] DiskState after(const Operation& operation, const DiskState& before,
                                  const std::optional<TrialFacts>& trial) const;
    /// The same of trials; nullopt: the operation has nothing to do with them.
    [[nodiscard]] TrialFacts trial() const;
    [[nodiscard]] std::optional<TrialFacts> trial_after(const Operation& operation, const TrialFacts& before) const;
    /// What is on trial is not confirmed in time: the version before is back, and nothing is left. Empty, or what
    /// is wrong.
    std::string let_trial_end() const;
    /// What is there and should not be, or is missing: by the footprint, which gets a while to come right.
    [[nodiscard]] std::vector<std::string> orphans() const;
    /// By the LEAK oracle, once the service was taken away.
    [[nodiscard]] std::vector<std::string> leaks() const;
    /// Takes the service away.
    std::string remove() const;

private:
    [[nodiscard]] ServiceFile service() const;
    RunOutput deploy_next(const Argv& options);
    RunOutput end_soon() const;
    [[nodiscard]] std::vector<std::string> look() const;

    std::unique_ptr<Scene> scene_;
    int version_ = 1;
    std::vector<std::string> bare_;  // viscumd runs, and has no service
    std::vector<std::string> with_service_;
    Snapshot snapshot_;  // as bare_
    DiskState served_;   // the disk when it serves
};

}  // namespace viscum
