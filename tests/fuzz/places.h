// SPDX-License-Identifier: GPL-2.0-only
// What is true of every refusal of a file.
#pragma once

#include "base/text.h"
#include "controller/spec/parse.h"
#include "tests/fuzz/fuzz.h"

namespace viscum::fuzz {

/// Each mistake is at a place that the text has, in the order of the text, and can be shown on a terminal.
inline void check_places(std::string_view text, const Diagnostics& mistakes) {
    require(!mistakes.empty() && mistakes.size() <= 20, "a refusal names 1 to 20 mistakes");
    const auto lines = split(text, '\n');
    std::pair<int, int> before{1, 1};
    for (const auto& mistake : mistakes) {
        const std::pair<int, int> place{mistake.line, mistake.column};
        require(mistake.line >= 1 && mistake.column >= 1, "a mistake has a place");
        // What is missing at the end may be told of the line behind the last one.
        require(static_cast<std::size_t>(mistake.line) <= lines.size() + 1, "a mistake is in a line of the text");
        require(before <= place, "mistakes are in the order of the text");
        require(!mistake.what.empty() && mistake.what.size() < 4096 && mistake.hint.size() < 4096,
                "a mistake is told in a sentence");
        require(!has_control(mistake.what) && !has_control(mistake.hint), "a mistake moves no terminal");
        before = place;
    }
}

}  // namespace viscum::fuzz
