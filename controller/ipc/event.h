// SPDX-License-Identifier: GPL-2.0-only
// One entry of the journal, as viscumd writes it and viscumctl reads it: a JSON object on a line of its own.
// docs/json.md names the fields and the kinds; both are added to, never renamed or removed. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace viscum {

struct Event {
    std::int64_t time_ms = 0;   // since 1970, UTC; of a folded one, when it happened last
    std::string kind;           // "deployed", "unhealthy", "cloud", …
    std::string service;        // empty: it concerns viscumd, or the box
    std::string text;           // one sentence that says why
    std::uint64_t times = 1;    // how many equal ones this is
    std::int64_t since_ms = 0;  // where it is several, when the first one happened
    bool operator==(const Event&) const = default;
};

inline constexpr std::size_t kEventLineLimit = 1024;  // bytes, the end of the line included

/// A line, with its end, of at most kEventLineLimit bytes: a longer text is cut between characters.
std::string event_line(const Event& event);
/// nullopt: no whole event, as after a power cut.
std::optional<Event> read_event(std::string_view line);

/// "2026-01-02T03:04:05.678Z"; a time before 1970 or after 9999 is the nearest one that has such a text.
std::string utc_text(std::int64_t ms);
/// What utc_text wrote, and nothing else.
std::optional<std::int64_t> parse_utc(std::string_view text);

}  // namespace viscum
