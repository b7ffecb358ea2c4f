// SPDX-License-Identifier: GPL-2.0-only
// viscumd started within limits, and the limits of one that runs.
#pragma once

#include <sys/resource.h>

#include <string>

#include "tests/scene/scene.h"

namespace viscum {

/// RLIMIT_AS or RLIMIT_NOFILE of a process that runs: the soft limit only, so that it can be raised again.
void limit_soft(pid_t pid, int resource, rlim_t soft);
void limit_off(pid_t pid, int resource);

/// How a start within limits went.
struct LimitedStart {
    bool serves = false;  // its socket answers
    bool waits = false;   // it does not, and goes on: what is there is served, and the lease renewed
    int status = 0;       // of one that ended
    std::string log;      // what it said
};

struct LimitedOptions {
    std::string limit;  // of prlimit: "--nofile=20:20"
    std::string cause;  // what it says where the limit is in its way
    /// Called while it goes on, whether it serves or waits.
    std::function<void(const LimitedStart& start)> while_up{};
};

/// Starts the scene's viscumd, which has ended, within a limit, and ends it. One that names the cause, does not end,
/// and does not answer for some seconds, waits.
LimitedStart start_limited(Scene& scene, const LimitedOptions& options);

}  // namespace viscum
