// SPDX-License-Identifier: GPL-2.0-only
// What the renderers of reports are made of: words in colours, and lines of facts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/ipc/report.h"

namespace viscum {

enum class Tone { plain, good, fair, bad, strong };

std::string paint(std::string_view text, Tone tone, bool colour);
/// Of a state, a health or an admission.
Tone tone_of(std::string_view word);
/// In columns of a terminal.
std::size_t width(std::string_view text);

/// "1 packet", "99k packets"
std::string counted(std::uint64_t count, std::string_view one, std::string_view more);
/// "  NAME      TEXT"
std::string fact(std::string_view name, std::string_view text);
/// "ITEM, ITEM UNIT" in lines of at most 80 columns under one fact's name; "" without items.
std::string list_fact(std::string_view name, const std::vector<std::string>& items, std::string_view unit = "",
                      Tone tone = Tone::plain, bool colour = false);
/// "12 no-listener, 3 draining", without those that are 0.
std::string counts_fact(std::string_view name, const std::vector<ReasonCount>& counts, std::string_view unit);
/// Why it is not up and served; "" where it is.
std::string why_not(const ServiceReport& service);

}  // namespace viscum
