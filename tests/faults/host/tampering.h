// SPDX-License-Identifier: GPL-2.0-only
// System calls of a process that runs, made to fail or counted: strace, attached and detached.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/support/program.h"

namespace viscum {

struct TamperSpec {
    std::string calls;                 // "write,fsync"
    std::string injection{};           // "fsync:error=EIO:when=2"; empty: they are only counted
    std::vector<std::string> paths{};  // only calls about these files and directories; none: all
};

struct Tampered {
    std::map<std::string, std::size_t> calls;  // how often each was made, injected or not
    std::size_t injected = 0;
};

class Tampering {
public:
    /// Attaches to `pid`, not to its children, and returns once it has. errno_code ENOENT: there is no strace.
    static Result<Tampering> start(pid_t pid, const TamperSpec& spec);
    /// Detaches.
    Tampered stop();

private:
    explicit Tampering(Program strace) : strace_(std::move(strace)) {}
    Program strace_;
};

}  // namespace viscum
