// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/paint.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"
#include "controller/ctl/render.h"

namespace viscum {
namespace {

// "1.2", "12", "345" of a unit that is `scale`.
std::string scaled(std::uint64_t value, std::uint64_t scale) {
    const std::uint64_t whole = value / scale;
    const std::uint64_t tenth = value % scale / (scale / 10);
    return whole < 10 ? cat(whole, '.', tenth) : std::to_string(whole);
}

bool continues_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

}  // namespace

std::string paint(std::string_view text, Tone tone, bool colour) {
    constexpr std::array<const char*, 5> kCodes{"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1m"};
    if (!colour || tone == Tone::plain) {
        return std::string(text);
    }
    return cat(kCodes[static_cast<std::size_t>(tone)], text, "\x1b[0m");
}

Tone tone_of(std::string_view word) {
    static const std::map<std::string_view, Tone> kTones{
        {"up", Tone::good},       {"healthy", Tone::good},  {"serve", Tone::good},   {"preparing", Tone::fair},
        {"starting", Tone::fair}, {"stopping", Tone::fair}, {"backoff", Tone::fair}, {"drain", Tone::fair},
        {"failed", Tone::bad},    {"unhealthy", Tone::bad}, {"down", Tone::bad},     {"off", Tone::bad}};
    const auto found = kTones.find(word);
    return found == kTones.end() ? Tone::plain : found->second;
}

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return !continues_character(byte); }));
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view more) {
    return cat(human_count(count), " ", count == 1 ? one : more);
}

std::string fact(std::string_view name, std::string_view text) {
    constexpr std::size_t kColumn = 11;
    return cat("  ", name, std::string(kColumn - std::min(kColumn - 1, name.size()), ' '), text, "\n");
}

std::string list_fact(std::string_view name, const std::vector<std::string>& items, std::string_view unit, Tone tone,
                      bool colour) {
    constexpr std::size_t kColumns = 80 - 13;
    std::string out;
    std::string line;
    for (const auto& item : items) {
        if (!line.empty() && line.size() + item.size() + 3 > kColumns) {
            out += fact(out.empty() ? name : "", paint(line + ",", tone, colour));
            line.clear();
        }
        line += line.empty() ? item : ", " + item;
    }
    if (line.empty()) {
        return "";
    }
    return out + fact(out.empty() ? name : "", paint(line + std::string(unit), tone, colour));
}

std::string counts_fact(std::string_view name, const std::vector<ReasonCount>& counts, std::string_view unit) {
    std::vector<std::string> items;
    for (const auto& count : counts) {
        if (count.packets != 0) {
            items.push_back(cat(human_count(count.packets), " ", printable(count.reason)));
        }
    }
    return list_fact(name, items, unit);
}

std::string why_not(const ServiceReport& service) {
    if (!service.reason.empty()) {
        return printable(service.reason);
    }
    return service.drained ? "drained by the operator" : "";
}

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array<const char*, 5> kUnits{"kB", "MB", "GB", "TB", "PB"};
    if (bytes < 1000) {
        return cat(bytes, " B");
    }
    std::uint64_t scale = 1000;
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && bytes / scale >= 1000) {
        scale *= 1000;
        ++unit;
    }
    return cat(scaled(bytes, scale), " ", kUnits[unit]);
}

std::string human_count(std::uint64_t count) {
    constexpr std::array<char, 5> kUnits{'k', 'M', 'G', 'T', 'P'};
    if (count < 10'000) {
        return std::to_string(count);
    }
    std::uint64_t scale = 1000;
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && count / scale >= 1000) {
        scale *= 1000;
        ++unit;
    }
    return scaled(count, scale) + kUnits[unit];
}

std::string human_time(std::chrono::milliseconds time) {
    const auto millis = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
    const std::uint64_t seconds = millis / 1000;
    if (seconds == 0) {
        return cat(millis, "ms");
    }
    if (seconds < 60) {
        return cat(seconds, "s");
    }
    if (seconds < 3600) {
        return cat(seconds / 60, "m ", seconds % 60, "s");
    }
    if (seconds < 86'400) {
        return cat(seconds / 3600, "h ", seconds % 3600 / 60, "m");
    }
    return cat(seconds / 86'400, "d ", seconds % 86'400 / 3600, "h");
}

std::string printable(std::string_view text) {
    std::string out(text);
    unsigned char before = 0;
    for (char& byte : out) {
        const auto code = static_cast<unsigned char>(byte);
        if (byte == '\n' || byte == '\t') {
            byte = ' ';
        } else if (code < 0x20 || code == 0x7f || (before == 0xc2 && code < 0xa0)) {
            byte = '?';  // U+0080 to U+009F, C2 80 to C2 9F, are control characters as well
        }
        before = code;
    }
    return out;
}

std::string cut_to(std::string_view text, std::size_t columns) {
    std::size_t end = 0;
    for (std::size_t used = 0; end < text.size(); ++end) {
        if (!continues_character(text[end]) && used++ == columns) {
            break;
        }
    }
    return std::string(text.substr(0, end));
}

}  // namespace viscum
