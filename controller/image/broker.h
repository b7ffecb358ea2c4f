// SPDX-License-Identifier: GPL-2.0-only
// What the parent does for the child in its cage, which lacks the privilege; nothing here reads what is in a file.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "controller/image/channel.h"

namespace viscum {

/// Opens a layer's directory by its digest.
using OpenLayer = std::function<UniqueFd(const std::string& digest)>;

/// Answers 'O' and 'A'. `device`: of the store's file system; no directory of another one is touched.
Status answer_request(int channel, const Message& request, dev_t device, const OpenLayer& open_layer);

/// The plain file at `folder`/`name` (one component each) that an image of these layers shows, the lowest layer first:
/// whiteouts and opaque directories hide, links are not followed. Invalid where there is none.
UniqueFd find_in_layers(const std::vector<std::string>& layers, const OpenLayer& open_layer, const std::string& folder,
                        const std::string& name);

/// The bytes of all files below a directory, hard links once. An error where something is there that no layer may have:
/// set-id bits, devices but for whiteouts, more than kMaxEntryDepth levels.
Result<std::uint64_t> layer_bytes(UniqueFd directory);

}  // namespace viscum
