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

/// Starts the scene's viscumd, which has ended, as `prlimit LIMIT`, waits until it serves or ended, calls `while_up` in
/// the first case, and ends it.
LimitedStart start_limited(Scene& scene, const std::string& limit, const std::function<void()>& while_up = {});

}  // namespace viscum
