// SPDX-License-Identifier: GPL-2.0-only
// What viscum-image does with backups. Each returns the exit code.
#pragma once

#include "base/instance.h"
#include "controller/image/arguments.h"

namespace viscum {

/// To a file that nobody but root may read, and that is not there before it is whole; "-": standard output.
int backup(const Arguments& args, const Instance& instance);
int stage(const Arguments& args);

}  // namespace viscum
