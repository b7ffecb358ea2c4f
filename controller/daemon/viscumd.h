// SPDX-License-Identifier: GPL-2.0-only
// viscumd, the daemon: reads its command line and runs until it is ended.
#pragma once

namespace viscum {

/// As main(), with its exit code.
int viscumd_main(int argc, char** argv);

}  // namespace viscum
