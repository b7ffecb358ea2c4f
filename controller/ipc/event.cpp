// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/event.h"

#include <algorithm>
#include <chrono>

#include "controller/ipc/json.h"

namespace viscum {
namespace {

using namespace std::chrono;

constexpr std::int64_t kLastMs = 253'402'300'799'999;  // of the year 9999
constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ";

std::string digits(std::uint64_t value, std::size_t count) {
    std::string text = std::to_string(value);
    return std::string(count - std::min(count, text.size()), '0') + text;
}

std::string encode(const Event& event) {
    JsonOut out;
    out.field("time", utc_text(event.time_ms));
    out.field("kind", event.kind);
    out.field("service", event.service);
    out.field("text", event.text);
    if (event.times != 1) {
        out.field("times", event.times);
        out.field("since", utc_text(event.since_ms));
    }
    return std::move(out).text() + "\n";
}

}  // namespace

std::string event_line(const Event& event) {
    std::string line = encode(event);
    Event cut = event;
    // What is escaped takes up to six bytes for one, so how much has to go is found by halves of what is too much.
    while (line.size() > kEventLineLimit && !cut.text.empty()) {
        const std::size_t excess = line.size() - kEventLineLimit;
        std::size_t keep = cut.text.size() - std::min(cut.text.size(), std::max<std::size_t>(excess / 6, 1));
        while (keep > 0 && (static_cast<unsigned char>(cut.text[keep]) & 0xc0U) == 0x80U) {
            --keep;
        }
        cut.text.resize(keep);
        line = encode(cut);
    }
    return line.size() > kEventLineLimit ? std::string() : line;
}

std::optional<Event> read_event(std::string_view line) {
    if (line.size() > kEventLineLimit) {
        return std::nullopt;
    }
    const auto value = parse_json(line);
    if (!value) {
        return std::nullopt;
    }
    Event event;
    std::string time;
    JsonIn in(*value);
    in.field("time", time);
    in.field("kind", event.kind);
    in.field("service", event.service);
    in.field("text", event.text);
    if (value->member("times") != nullptr) {
        std::string since;
        in.field("times", event.times);
        in.field("since", since);
        const auto at = parse_utc(since);
        if (!at) {
            return std::nullopt;
        }
        event.since_ms = *at;
    }
    const auto at = parse_utc(time);
    if (!in.status() || !at || event.kind.empty() || event.times == 0) {
        return std::nullopt;
    }
    event.time_ms = *at;
    return event;
}

std::string utc_text(std::int64_t ms) {
    ms = std::clamp<std::int64_t>(ms, 0, kLastMs);
    const sys_time<milliseconds> time{milliseconds(ms)};
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss<milliseconds> clock(time - day);
    const auto two = [](auto value) { return digits(static_cast<std::uint64_t>(value), 2); };
    return cat(digits(static_cast<std::uint64_t>(static_cast<int>(date.year())), 4), '-',
               two(static_cast<unsigned>(date.month())), '-', two(static_cast<unsigned>(date.day())), 'T',
               two(clock.hours().count()), ':', two(clock.minutes().count()), ':', two(clock.seconds().count()), '.',
               digits(static_cast<std::uint64_t>(clock.subseconds().count()), 3), 'Z');
}

std::optional<std::int64_t> parse_utc(std::string_view text) {
    const bool fits = std::equal(kShape.begin(), kShape.end(), text.begin(), text.end(), [](char wanted, char is) {
        return wanted == 'd' ? is >= '0' && is <= '9' : wanted == is;
    });
    if (!fits) {
        return std::nullopt;
    }
    const auto number = [text](std::size_t at, std::size_t count) {
        int value = 0;
        for (const char digit : text.substr(at, count)) {
            value = value * 10 + (digit - '0');
        }
        return value;
    };
    const year_month_day date(year(number(0, 4)), month(static_cast<unsigned>(number(5, 2))),
                              day(static_cast<unsigned>(number(8, 2))));
    if (!date.ok() || number(11, 2) > 23 || number(14, 2) > 59 || number(17, 2) > 59) {
        return std::nullopt;
    }
    const auto time = sys_days(date) + hours(number(11, 2)) + minutes(number(14, 2)) + seconds(number(17, 2)) +
                      milliseconds(number(20, 3));
    const std::int64_t ms = time.time_since_epoch().count();
    return ms < 0 ? std::nullopt : std::optional(ms);
}

}  // namespace viscum
