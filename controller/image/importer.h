// SPDX-License-Identifier: GPL-2.0-only
// What happens inside of the cage: an image's file is read, verified and unpacked. The parent gets a record.
#pragma once

#include <set>
#include <string>

#include "base/unique_fd.h"
#include "controller/image/unpack.h"

namespace viscum {

struct ImportOrder {
    int source = -1;   // the file or directory
    int channel = -1;  // to the parent
    std::string base_name;
    std::set<std::string> present;  // layers that the store has
    std::uint64_t max_bytes = kMaxImageBytes;
};

/// To be called in the cage, whose root becomes full of directories named after layers. Says over the channel how it
/// went; returns an exit status.
int import_in_cage(const ImportOrder& order);

}  // namespace viscum
