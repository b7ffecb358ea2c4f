// SPDX-License-Identifier: GPL-2.0-only
// What viscum-image does with images. Each returns the exit code.
#pragma once

#include "base/instance.h"
#include "controller/image/arguments.h"

namespace viscum {

int import_image(const Arguments& args, const Instance& instance);
int list_all(const Arguments& args, const Instance& instance);
int remove_image(const Arguments& args, const Instance& instance);
/// Also bundles.
int prune_all(const Arguments& args, const Instance& instance);

}  // namespace viscum
