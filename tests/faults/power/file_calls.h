// SPDX-License-Identifier: GPL-2.0-only
// A process that runs, stopped at each system call that changes a file below some directories: ptrace.
#pragma once

#include <sys/types.h>

#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace viscum {

class FileCalls {
public:
    /// The call that has just ended: "fsync /etc/viscum/services". The process stands still until it returns.
    using Stop = std::function<void(const std::string& call)>;

    /// Follows `pid` alone, not its children, in a thread of its own (ptrace(2) binds a tracee to a thread), in which
    /// `stop` is called. Returns once it follows.
    static Result<std::unique_ptr<FileCalls>> follow(pid_t pid, std::vector<std::string> directories, Stop stop);
    /// Lets it run on.
    ~FileCalls();
    FileCalls(const FileCalls&) = delete;
    FileCalls& operator=(const FileCalls&) = delete;

private:
    FileCalls() = default;
    std::jthread thread_;
};

}  // namespace viscum
