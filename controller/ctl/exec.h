// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl exec`: a command of the operator's beside a service: in its root, as its user, with no more rights.
#pragma once

#include <string>
#include <vector>

#include "controller/ctl/commands.h"

namespace viscum {

/// Runs the command, which is looked up in the service's root by the service's PATH, on our own descriptors 0-2, those
/// that are terminals replaced by a pty (see terminal.h), hands signals on to it, and returns its exit status as a
/// shell does: 128 + N when signal N ended it, 127 when there is no such command, 126 when it cannot be run.
int exec(const Session& session, const std::string& service, const std::vector<std::string>& command);

}  // namespace viscum
