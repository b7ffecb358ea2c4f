// SPDX-License-Identifier: GPL-2.0-only
// What is true of all JSON that is read.
#pragma once

#include "base/text.h"
#include "controller/ipc/json.h"
#include "tests/fuzz/fuzz.h"

namespace viscum::fuzz {

inline std::string json_text(const JsonValue& value) {
    if (const auto* flag = std::get_if<bool>(&value.value)) {
        return *flag ? "true" : "false";
    }
    if (const auto* number = std::get_if<std::int64_t>(&value.value)) {
        return std::to_string(*number);
    }
    if (const auto* number = std::get_if<std::uint64_t>(&value.value)) {
        return std::to_string(*number);
    }
    if (const auto* text = std::get_if<std::string>(&value.value)) {
        return json_quote(*text);
    }
    if (const auto* list = std::get_if<JsonValue::List>(&value.value)) {
        std::vector<std::string> parts;
        for (const auto& item : *list) {
            parts.push_back(json_text(item));
        }
        return cat("[", join(parts, ","), "]");
    }
    if (const auto* object = std::get_if<JsonValue::Object>(&value.value)) {
        std::vector<std::string> parts;
        for (const auto& member : *object) {
            parts.push_back(cat(json_quote(member.name), ":", json_text(member.value)));
        }
        return cat("{", join(parts, ","), "}");
    }
    return "null";
}

inline std::size_t depth_of(const JsonValue& value) {
    std::size_t deepest = 0;
    if (const auto* list = std::get_if<JsonValue::List>(&value.value)) {
        for (const auto& item : *list) {
            deepest = std::max(deepest, depth_of(item));
        }
        return deepest + 1;
    }
    if (const auto* object = std::get_if<JsonValue::Object>(&value.value)) {
        for (const auto& member : *object) {
            deepest = std::max(deepest, depth_of(member.value));
            require(value.member(member.name) == &member.value, "no name occurs twice");
        }
        return deepest + 1;
    }
    return 0;
}

/// A text that is read means the same when it is written and read once more.
inline void check_json(std::string_view text) {
    const auto value = parse_json(text);
    if (!value) {
        require(!value.error().what.empty(), "a refusal says why");
        return;
    }
    require(depth_of(*value) <= kMaxJsonDepth, "JSON is not too deep");
    const std::string once = json_text(*value);
    const auto again = parse_json(once);
    require(again && json_text(*again) == once, "JSON is read back as it was written");
}

}  // namespace viscum::fuzz
