// SPDX-License-Identifier: GPL-2.0-only
// Two of the four oracles that judge what is left after a fault: STATE and LOG. LEAK is tests/support/leak.h, FLOW
// tests/support/flow_client.h. viscum-oracle (main.cpp) is all four on the command line.
//
// Each judge returns what is wrong, a line each, ready to be shown; nothing where all is well.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/instance.h"
#include "base/result.h"
#include "controller/store/store.h"

namespace viscum {

/// What an instance has on disk, read as viscumd would, and without changing it.
struct DiskState {
    SavedState state;
    std::uint64_t generation = 0;                 // 0: there is no state file
    std::map<std::string, std::string> services;  // name -> text of /etc/NAME/services/NAME.yaml
    std::vector<std::string> broken;              // files that do not parse: state generations and service files

    /// The same wishes; generations may differ.
    [[nodiscard]] bool same_as(const DiskState& other) const;
};

/// An error only where a directory or file cannot be read.
Result<DiskState> read_disk_state(const Instance& instance);

/// STATE: every file parses, and each of state and services is as it was before or as it was to become.
std::vector<std::string> judge_state(const DiskState& now, const DiskState& before, const DiskState& after);

struct LogLine {
    std::string level;  // "debug", "info", "warning", "error"
    std::string text;
};
/// viscumd's lines; what has no time and level belongs to the line before it.
std::vector<LogLine> log_lines(std::string_view log);

/// LOG: one line of level warning or error holds `cause`, and there is no other such line that says anything else. The
/// same failure of several tries may be said again, so equal lines count once.
std::vector<std::string> judge_log(std::string_view log, std::string_view cause);

}  // namespace viscum
