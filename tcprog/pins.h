// SPDX-License-Identifier: GPL-2.0-only
// Where maps and programs are pinned: DIR/vN, one directory for each version of their layout.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "tcprog/abi.h"

namespace viscum {

std::string version_dir(const std::string& dir, std::uint32_t version = VS_ABI);

/// The versions that have a directory, in ascending order; none where there is no DIR.
Result<std::vector<std::uint32_t>> pinned_versions(const std::string& dir);

/// What is pinned there; nothing where nothing is, or where it cannot be had.
UniqueFd pinned(const std::string& path);

/// Pins `fd` at `path` in the place of what may be there, at one instant.
Status pin_over(int fd, const std::string& path);

}  // namespace viscum
