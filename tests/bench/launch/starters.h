// SPDX-License-Identifier: GPL-2.0-only
// Whatever can start a program in a box of some kind. Each starts tests/bench/launch/stamp.cpp, which says when it came
// to run, and in what.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "netns/net_ns.h"

namespace viscum {

/// What a program found itself in.
struct Stamp {
    std::int64_t when = 0;  // CLOCK_BOOTTIME, nanoseconds
    long pid = 0;
    bool filtered = false;  // by a filter of system calls
    ino_t network = 0;
    std::string groups;  // its /proc/self/cgroup
};
/// The last one in what was printed; nothing where there is none.
std::optional<Stamp> last_stamp(const std::string& text);

struct Starter {
    std::string name;  // what it is, and what it includes
    // What the program must find itself in.
    bool process_namespace = true;
    bool filter = true;
    bool group = true;    // of its own
    bool network = true;  // the namespace that is there already; else another one
    /// Starts it and waits for its end; what it printed.
    std::function<std::string()> start;
};

/// In `network`, which is named `name` and outlives the starters. What does not run here is left out, and said in
/// `missing`.
std::vector<Starter> make_starters(const std::string& name, const NetNs& network, std::vector<std::string>& missing);

/// Nothing, or what it was not.
std::string complaint(const Starter& starter, const Stamp& stamp, ino_t network);

}  // namespace viscum
