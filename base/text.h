// SPDX-License-Identifier: GPL-2.0-only
// Small pure functions on text.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace viscum {

/// The parts put together; the cheap formatter of error and log lines.
template <class... Parts>
std::string cat(const Parts&... parts) {
    std::string out;
    const auto append = [&out](const auto& part) {
        using Part = std::decay_t<decltype(part)>;
        if constexpr (std::is_same_v<Part, char>) {
            out += part;
        } else if constexpr (std::is_arithmetic_v<Part>) {
            out += std::to_string(part);
        } else {
            out += std::string_view(part);
        }
    };
    (append(parts), ...);
    return out;
}

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// Decimal digits only: no sign, no space, no leading zero, at most `max`.
std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max);

/// "200ms", "2s", "5m", "1h" and nothing else; at most 366 days.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
/// The shortest text that parse_duration reads back as the same value.
std::string format_duration(std::chrono::milliseconds duration);

/// "64M", "2G", "512K", "100": bytes in binary units, rounded down to whole ones where that changes less than a tenth.
std::string format_size(std::uint64_t bytes);

/// FNV-1a, 64 bits: stable over builds and machines, for names that are derived from names.
std::uint64_t fnv1a(std::string_view text);
std::string hex(std::uint64_t value, int digits);

/// The name among `candidates` that is at most two edits away from `word`, for "did you mean".
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace viscum
