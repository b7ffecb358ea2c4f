// SPDX-License-Identifier: GPL-2.0-only
// The part of a snapshot that one network namespace holds.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "tests/support/program.h"

namespace viscum {

/// `enter` is put in front of each command ("nsenter", …; empty: this namespace), `label` in front of each line.
Result<std::vector<std::string>> network_lines(const Argv& enter, const std::string& label);

}  // namespace viscum
