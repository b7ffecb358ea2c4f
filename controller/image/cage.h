// SPDX-License-Identifier: GPL-2.0-only
// A child process that may be taken over by what it reads, and then can still do nothing but write below one directory:
// mount, pid, network, IPC and UTS namespaces of its own; that directory as its whole file system (no devices, no
// set-id, nothing executable); four capabilities; a list of system calls; limits of memory, time and descriptors. It
// ends with its parent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

struct CageSpec {
    std::string directory;                     // the child's root, where it may write
    std::uint64_t max_file = 0;                // bytes
    int channel = -1;                          // a socket whose other end the parent alone has
    std::vector<int> keep;                     // descriptors that stay open
    std::function<int()> inside;               // gives the exit status; what it opens by name lies in the cage
    std::function<void(const Error&)> failed;  // in the child: the cage could not be built, and nothing was read
};

/// Starts the child, which must be waited for. errno_code EPERM where namespaces may not be made.
Result<pid_t> start_in_cage(const CageSpec& spec);

}  // namespace viscum
