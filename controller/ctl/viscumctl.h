// SPDX-License-Identifier: GPL-2.0-only
// viscumctl, the operator's program: reads its command line and runs one verb.
#pragma once

namespace viscum {

/// As main(); the exit codes are those of ipc/frame.h. What it says begins with "viscumctl", whatever argv[0] is.
int viscumctl_main(int argc, char** argv);

}  // namespace viscum
