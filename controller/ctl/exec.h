// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl exec`: a command of the operator's in a service's network namespace, as the service's user.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/ctl/commands.h"

namespace viscum {

/// Runs the command on our own descriptors 0-2, hands signals on to it, and returns its exit status as a shell does:
/// 128 + N when signal N ended it, 127 when there is no such command, 126 when it cannot be run.
int exec(const Session& session, const std::string& service, const std::vector<std::string>& command);

/// `name` as execvp(3) finds it in `path` ("/a:/b"); a name with a slash as it is. nullopt: there is none.
std::optional<std::string> find_program(const std::string& name, const std::string& path);

}  // namespace viscum
