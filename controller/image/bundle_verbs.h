// SPDX-License-Identifier: GPL-2.0-only
// What viscum-image does with bundles. Each returns the exit code.
#pragma once

#include "base/instance.h"
#include "controller/image/arguments.h"

namespace viscum {

int make(const Arguments& args);
int sign(const Arguments& args);
int thin(const Arguments& args);
int verify(const Arguments& args);
int lacks(const Arguments& args, const Instance& instance);
int install(const Arguments& args, const Instance& instance);
int versions(const Arguments& args, const Instance& instance);

}  // namespace viscum
