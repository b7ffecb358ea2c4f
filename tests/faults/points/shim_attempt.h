// SPDX-License-Identifier: GPL-2.0-only
// One point of viscum-shim's: an operation is carried out, the shim or what it starts is struck at one of its system
// calls, and what comes of it is judged.
#pragma once

#include <string>
#include <vector>

#include "tests/faults/points/shim_stage.h"

namespace viscum {

struct ShimVerdict {
    bool reached = false;
    bool went_on = false;  // what was struck has come up, or has done its work, all the same
    bool unlike = false;   // it was up, and its sandbox was not that of a clean run
    std::vector<std::string> orphans{};
    std::vector<std::string> problems{};  // all that is wrong, orphans included
    std::size_t requests = 0;             // of a client without pause
    std::size_t failed = 0;
    std::size_t resets = 0;          // of connections that nothing had killed
    std::size_t resets_allowed = 0;  // with the service that was killed
};

ShimVerdict attempt(ShimStage& stage, const ShimPoint& point);

/// The calls of the operation that come in each of two runs, in their order. Of a child those before its execve.
std::vector<ShimPoint> enumerate(ShimStage& stage, const ShimOperation& operation);

/// One that fits; nothing for a call that cannot fail.
const std::vector<int>& shim_errors(const std::string& call);

}  // namespace viscum
