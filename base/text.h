// SPDX-License-Identifier: GPL-2.0-only
// Small pure functions on text.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace viscum {

/// One part of a text. It refers to what it is made of, and is gone with the full expression.
class TextPart {
public:
    TextPart(char letter) : kind_(Kind::letter), letter_(letter) {}
    TextPart(const char* words) : kind_(Kind::words), words_(words) {}
    TextPart(const std::string* text) : kind_(Kind::string), string_(text) {}
    TextPart(const std::string_view* text) : kind_(Kind::view), view_(text) {}
    TextPart(long long number) : kind_(Kind::whole), whole_(number) {}
    TextPart(unsigned long long number) : kind_(Kind::natural), natural_(number) {}
    TextPart(double number) : kind_(Kind::real), real_(number) {}

    /// What one of these is made of: of few types, whatever the part's, so that there are few put_together().
    template <class Part>
    static auto of(const Part& part) {
        if constexpr (std::is_same_v<Part, std::string> || std::is_same_v<Part, std::string_view>) {
            return &part;
        } else if constexpr (std::is_same_v<Part, char>) {
            return part;
        } else if constexpr (std::signed_integral<Part>) {
            return static_cast<long long>(part);
        } else if constexpr (std::unsigned_integral<Part>) {
            return static_cast<unsigned long long>(part);
        } else if constexpr (std::floating_point<Part>) {
            return static_cast<double>(part);
        } else {
            const char* words = part;  // an array, whatever its length
            return words;
        }
    }
    void append_to(std::string& out) const;

private:
    enum class Kind { letter, words, string, view, whole, natural, real } kind_;
    union {
        char letter_;
        const char* words_;
        const std::string* string_;
        const std::string_view* view_;
        long long whole_;
        unsigned long long natural_;
        double real_;
    };
};

std::string put_together(std::initializer_list<TextPart> parts);

// Not written out at each call: there are a thousand.
template <class... Parts>
[[gnu::noinline]] std::string put_together(Parts... parts) {
    return put_together({TextPart(parts)...});
}

/// The parts put together; the cheap formatter of error and log lines.
template <class... Parts>
[[gnu::always_inline]] inline std::string cat(const Parts&... parts) {
    return put_together(TextPart::of(parts)...);
}

std::vector<std::string> split(std::string_view text, char separator);
/// What stands between blanks.
std::vector<std::string> split_words(std::string_view text);
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
