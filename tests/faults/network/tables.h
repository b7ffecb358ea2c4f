// SPDX-License-Identifier: GPL-2.0-only
// The kernel's own view of an instance's tables and programs, by bpf(2).
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/unique_fd.h"
#include "tests/scene/scene.h"

namespace viscum {

/// The keys of vs_lans: the numbers of the devices that the programs know of.
std::set<std::uint32_t> lans_in_table(Scene& scene);

/// A TC program that drops whatever it is given, pinned at `path`.
void pin_dropping_program(const std::string& path);

}  // namespace viscum
