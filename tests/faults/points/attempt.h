// SPDX-License-Identifier: GPL-2.0-only
// One point: an operation is carried out, viscumd is struck at one of its system calls, and what comes of it is judged.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/faults/points/stage.h"

namespace viscum {

/// Daemons have timers and hear news: a call is known by its name and how often that was called since the operation
/// began, not by its place in the order of all.
struct Point {
    std::string operation;
    std::string call;
    std::size_t nth = 0;
    int error = 0;  // 0: SIGKILL in its place

    /// "deploy/openat/12", "deploy/openat/12/ENOMEM"
    [[nodiscard]] std::string text() const;
    static std::optional<Point> parse(std::string_view text);
};

struct Verdict {
    bool reached = false;
    bool adopted = true;  // the service is up whole, or not there at all
    std::vector<std::string> orphans{};
    std::vector<std::string> problems{};  // all that is wrong, orphans included
    std::size_t requests = 0;             // of a client without pause
    std::size_t failed = 0;
    std::size_t resets = 0;
};

Verdict attempt(Stage& stage, const Point& point);

/// The calls of the operation that come in each of `traces` runs, in their order: their name, and how many there are of
/// it at least.
std::vector<Point> enumerate(Stage& stage, const Operation& operation, int traces);

}  // namespace viscum
