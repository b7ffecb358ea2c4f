// SPDX-License-Identifier: GPL-2.0-only
// Programs run by tests, in a namespace of the test's choice; never by a shell.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "netns/net_ns.h"

namespace viscum {

using Argv = std::vector<std::string>;  // the program is looked up in PATH

struct RunOptions {
    const NetNs* ns = nullptr;                // where it runs; none: here
    std::string input{};                      // what it reads from standard input
    std::chrono::milliseconds limit{30'000};  // then it is killed
};

struct RunOutput {
    int status = -1;  // exit status; 128 + N: ended by signal N (137 also when it took too long); 127: cannot be run
    std::string out;
    std::string err;

    [[nodiscard]] bool success() const { return status == 0; }
};

/// Runs a program to its end; output beyond 16 MiB is dropped. It is killed with the calling thread.
RunOutput run(const Argv& argv, const RunOptions& options = {});

/// The same where anything but success is an error, which names the command and what it said.
Result<std::string> output_of(const Argv& argv, const RunOptions& options = {});

/// A program in the background. It ends with this object, and with the test's process.
class Program {
public:
    struct Spec {
        Argv argv;
        std::string log_file{};     // standard output and error are appended; empty: dropped
        const NetNs* ns = nullptr;  // where it runs; none: here
    };
    /// Returns once the program was executed; errno_code says why that failed.
    static Result<Program> start(const Spec& spec);

    Program(Program&&) = default;
    Program& operator=(Program&& other) noexcept;
    ~Program() { end(); }

    [[nodiscard]] pid_t pid() const { return pid_; }  // 0 once it ended
    [[nodiscard]] bool running() const;
    /// ESRCH is success.
    Status signal(int number) const;
    /// Sends `number` and waits. Its exit status as in RunOutput; 137 where SIGKILL had to follow after `limit`.
    int stop(int number, std::chrono::milliseconds limit = std::chrono::seconds(10));
    /// Waits for its end; true if it came within `limit`.
    bool ended_within(std::chrono::milliseconds limit) const;

private:
    Program(UniqueFd pidfd, pid_t pid) : pidfd_(std::move(pidfd)), pid_(pid) {}
    void end();

    UniqueFd pidfd_;
    pid_t pid_ = 0;
};

}  // namespace viscum
