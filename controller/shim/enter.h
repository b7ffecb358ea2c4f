// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace viscum {

/// viscum-shim --enter RUN_DIR COMMAND [ARGUMENT...]
///
/// COMMAND in the namespaces of the shim that descriptor 4 (a pidfd) stands for, confined as RUN_DIR/sandbox says, with
/// our environment and descriptors 0-2. A terminal as descriptor 0 becomes the command's controlling one. Descriptor 3
/// is a pipe to whoever starts it: closed once the command is executed, or "ERRNO TEXT". Hands signals on, and ends as
/// the command does: 128 + N for signal N. Ends with its parent (PR_SET_PDEATHSIG, set before), and the command with
/// it. All signals are blocked when it is started.
int enter(char** arguments);

}  // namespace viscum
