// SPDX-License-Identifier: GPL-2.0-only
// What the kernel says of a process that a sandbox encloses, as lines of text that are the same for each start of one
// service: identities, capabilities, filters, mounts, control groups, namespaces, limits, descriptors.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace viscum {

/// Of a service's main process, once it listens. Sorted; empty: there is no such process.
std::vector<std::string> service_facts(pid_t pid);
/// Of its shim.
std::vector<std::string> shim_facts(pid_t pid);
/// Those lines of a /proc/PID/status that tell of rights. Sorted.
std::vector<std::string> rights(std::string_view status);

}  // namespace viscum
