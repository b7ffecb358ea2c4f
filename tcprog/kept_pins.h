// SPDX-License-Identifier: GPL-2.0-only
// The pins of an instance, held open: where another tool removes them, the same maps and programs are pinned again.
// Otherwise the next viscumd would find nothing to adopt, and lose the counters and the UDP flows.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

class KeptPins {
public:
    /// Everything that is pinned now in `dir`'s directory of our layout, after open_datapath().
    static Result<KeptPins> open(const std::string& dir);
    [[nodiscard]] const std::string& directory() const { return directory_; }
    /// Pins what is missing; how many those were. Idempotent.
    [[nodiscard]] Result<int> restore() const;

private:
    explicit KeptPins(std::string directory) : directory_(std::move(directory)) {}
    std::string directory_;
    std::map<std::string, UniqueFd> pins_;
};

}  // namespace viscum
