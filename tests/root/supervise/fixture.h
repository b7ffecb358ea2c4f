// SPDX-License-Identifier: GPL-2.0-only
// A run directory, a log and a network namespace for one service under the real shim.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "controller/supervise/health.h"
#include "controller/supervise/process.h"
#include "tests/support/program.h"

namespace viscum {

/// What doctest shows when a check fails.
inline doctest::String toString(const ProbeResult& result) {
    return ((result.healthy ? "healthy " : result.refused ? "refused " : "failed ") + result.reason).c_str();
}
inline doctest::String toString(const ExitStatus& status) {
    return status.describe().c_str();
}

/// The value, or the end of the test with the error's text.
template <class T>
T must(Result<T> result) {
    REQUIRE_MESSAGE(result, result.error().what);
    return *std::move(result);
}

/// Polls until `condition` holds, for 10 s at most.
bool eventually(const std::function<bool()>& condition);

/// Whether the descriptor (a pidfd) becomes readable within 10 s.
bool ended(int fd);

struct Run {
    explicit Run(Argv command);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// In the sandbox that follows from `service` and `input`.
    Process launch();
    /// Runs as a user of passwd, or a number.
    Run& as(const std::string& user);
    /// With variables beside those that it always has.
    Run& with(const std::map<std::string, std::string>& env);
    /// What launch() gives the shim.
    LaunchSpec& prepared();
    /// Waits for the end.
    ExitStatus finish(Process& process) const;
    ExitStatus launch_and_finish();
    /// The log as it is.
    [[nodiscard]] std::string log() const;
    /// The log without the times, both generations.
    [[nodiscard]] std::string said() const;
    /// Launches, waits for the end and returns what the service said.
    std::string words();

    NetNs ns;
    ServiceSpec service;  // as root, on the host's files
    SandboxInput input;
    LaunchSpec spec;
};

/// A path of a service's root, as it can be opened from here; none before the service runs.
std::string path_inside(const Process& process, const std::string& path);

/// A command beside a service.
struct Output {
    ExitStatus status;
    std::string text;  // what it wrote to 1 and 2 together
};
EnterSpec beside(const Run& run, Argv command);
/// Runs to the end. An error is the status `failed`.
Output enter_and_finish(EnterSpec spec);

/// The processes whose parent is `pid`, those that are called `name`, and those whose command line holds `text`.
std::vector<pid_t> children_of(pid_t pid);
std::vector<pid_t> processes_named(const std::string& name);
std::vector<pid_t> processes_with(const std::string& text);
/// The value of a line of /proc/PID/status.
std::string status_of(pid_t pid, const std::string& key);
std::string target_of(const std::string& link);

}  // namespace viscum
