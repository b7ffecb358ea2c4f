// SPDX-License-Identifier: GPL-2.0-only
// The bounds of a text, checked before yaml-cpp sees it.
//
// yaml-cpp 0.7 queues every token of a flow collection until it knows whether that is a key, about 250 bytes a token,
// and never lets go of some. Its time is linear in the text. So a text that is bounded in bytes and in the characters
// that begin tokens is bounded in time and memory, whatever it holds; quotes and comments are not looked at, because a
// second opinion on where they end is what a hostile text would play on.
#pragma once

#include <cstddef>
#include <string_view>

#include "controller/spec/mistakes.h"

namespace viscum {

inline constexpr std::size_t kMaxSpecBytes = 256UL * 1024;
inline constexpr int kMaxIndicators = 20'000;

/// Adds the first offence, if there is one: too long, too many indicators and lines, bytes that are no UTF-8 or control
/// characters, a directive, a tab that indents. `text` is without byte order mark.
void check_bounds(std::string_view text, Mistakes& mistakes);

}  // namespace viscum
