// SPDX-License-Identifier: GPL-2.0-only
#include "base/text.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace viscum {

void TextPart::append_to(std::string& out) const {
    switch (kind_) {
        case Kind::letter: out += letter_; break;
        case Kind::words: out += words_; break;
        case Kind::string: out += *string_; break;
        case Kind::view: out += *view_; break;
        case Kind::whole: out += std::to_string(whole_); break;
        case Kind::natural: out += std::to_string(natural_); break;
        case Kind::real: out += std::to_string(real_); break;
    }
}

std::string put_together(std::initializer_list<TextPart> parts) {
    std::string out;
    for (const auto& part : parts) {
        part.append_to(out);
    }
    return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const auto end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(end + 1);
    }
}

std::vector<std::string> split_words(std::string_view text) {
    auto words = split(text, ' ');
    std::erase(words, "");
    return words;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (const auto& part : parts) {
        if (&part != &parts.front()) {
            out += separator;
        }
        out += part;
    }
    return out;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) {
    if (text.empty() || text.size() > 20 || (text.size() > 1 && text.front() == '0')) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (digit > max || value > (max - digit) / 10) {
            return std::nullopt;
        }
        value = value * 10 + digit;
    }
    return value;
}

namespace {

struct Unit {
    std::string_view suffix;
    std::uint64_t millis;
};
constexpr std::array<Unit, 4> kUnits{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::uint64_t kMaxMillis = 366ULL * 24 * 3'600'000;

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    const auto digits = text.find_first_not_of("0123456789");
    if (digits == std::string_view::npos) {
        return std::nullopt;
    }
    for (const auto& unit : kUnits) {
        if (text.substr(digits) == unit.suffix) {
            if (const auto count = parse_decimal(text.substr(0, digits), kMaxMillis / unit.millis)) {
                return std::chrono::milliseconds(*count * unit.millis);
            }
        }
    }
    return std::nullopt;
}

std::string format_duration(std::chrono::milliseconds duration) {
    const auto millis = static_cast<std::uint64_t>(duration.count());
    const Unit* best = &kUnits[0];
    for (const auto& unit : kUnits) {
        if (millis != 0 && millis % unit.millis == 0) {
            best = &unit;
        }
    }
    return cat(millis / best->millis, best->suffix);
}

std::string format_size(std::uint64_t bytes) {
    constexpr std::pair<const char*, std::uint64_t> kSizes[] = {
        {"G", 1ULL << 30}, {"M", 1ULL << 20}, {"K", 1ULL << 10}};
    for (const auto& [name, unit] : kSizes) {
        if (bytes >= unit && (bytes % unit == 0 || bytes >= 10 * unit)) {
            return cat(bytes / unit, name);
        }
    }
    return std::to_string(bytes);
}

std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return hash;
}

std::string hex(std::uint64_t value, int digits) {
    std::string out(static_cast<std::size_t>(digits), '0');
    for (auto it = out.rbegin(); it != out.rend(); ++it, value >>= 4) {
        *it = "0123456789abcdef"[value & 15];
    }
    return out;
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
    constexpr std::size_t kMaxLength = 32;
    if (word.size() > kMaxLength) {
        return std::nullopt;
    }
    std::size_t best = 3;
    std::optional<std::string> found;
    for (const auto candidate : candidates) {
        // Levenshtein, one row at a time.
        std::vector<std::size_t> row(candidate.size() + 1);
        std::iota(row.begin(), row.end(), 0);
        for (std::size_t i = 1; i <= word.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i;
            for (std::size_t j = 1; j <= candidate.size(); ++j) {
                const std::size_t substitute = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
            }
        }
        if (row.back() < best && row.back() < std::max(word.size(), std::size_t{1})) {
            best = row.back();
            found = std::string(candidate);
        }
    }
    return found;
}

}  // namespace viscum
