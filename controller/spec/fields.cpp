// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/fields.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

std::string_view kind_name(YamlNode::Kind kind) {
    switch (kind) {
        case YamlNode::Kind::text: return "a single value";
        case YamlNode::Kind::list: return "a list";
        case YamlNode::Kind::map: return "a map";
        case YamlNode::Kind::null:
        case YamlNode::Kind::refused: break;
    }
    return "nothing";
}

std::string label(const YamlNode& node) {
    if (node.key.empty() && !node.is_item) {
        return "the file";
    }
    return cat(node.is_item ? "an item of " : "", quoted(node.key));
}

bool contains(const std::vector<std::string_view>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

/// The words of a list with blanks between.
std::vector<std::string_view> words_in(std::string_view list) {
    std::vector<std::string_view> words;
    while (!list.empty()) {
        words.push_back(list.substr(0, list.find(' ')));
        list.remove_prefix(std::min(list.size(), words.back().size() + 1));
    }
    return words;
}

std::string listed(const std::vector<std::string_view>& words) {
    return join({words.begin(), words.end()}, ", ");
}

std::string unknown_key_hint(std::string_view key, const std::vector<std::string_view>& known) {
    if (const auto meant = nearest(key, known)) {
        return cat("did you mean ", quoted(*meant), "?");
    }
    return known.empty() ? "there are no keys here" : cat("known here: ", listed(known));
}

void report_null(const YamlNode& node, Mistakes& mistakes) {
    if (node.key.empty() && !node.is_item) {
        mistakes.add(node.place, "the file is empty");
    } else {
        mistakes.add(node.is_item ? node.place : node.key_place, cat(label(node), " has no value"),
                     "null is no value here: put the text in quotes, or leave it out");
    }
}

}  // namespace

bool expect_kind(const YamlNode& node, YamlNode::Kind kind, Mistakes& mistakes, std::string_view hint) {
    if (node.kind == kind) {
        return true;
    }
    if (node.kind == YamlNode::Kind::null) {
        report_null(node, mistakes);
    } else if (node.kind != YamlNode::Kind::refused) {
        mistakes.add(node.place,
                     cat(label(node), " is ", kind_name(node.kind), " where ", kind_name(kind), " is expected"),
                     std::string(hint));
    }
    return false;
}

Fields::Fields(const YamlNode& map, const Keys& keys, Mistakes& mistakes) : map_(map), mistakes_(mistakes) {
    if (!expect_kind(map, YamlNode::Kind::map, mistakes)) {
        return;
    }
    const auto known = words_in(keys.known);
    const auto misplaced = words_in(keys.misplaced);
    for (const auto& child : map.children) {
        if (child.key_refused || !mistakes.wants(child.key_place)) {
            continue;
        }
        if (contains(misplaced, child.key)) {
            mistakes.add(child.key_place, cat(quoted(child.key), " does not belong here"),
                         cat("it stands ", keys.where));
        } else if (!contains(known, child.key)) {
            mistakes.add(child.key_place, cat("unknown key ", quoted(child.key)), unknown_key_hint(child.key, known));
        } else if (child.kind == YamlNode::Kind::null) {
            report_null(child, mistakes);
        }
    }
}

const YamlNode* Fields::child(std::string_view key) const {
    const auto found = std::find_if(map_.children.begin(), map_.children.end(),
                                    [&](const YamlNode& node) { return node.key == key && !node.is_item; });
    return found == map_.children.end() ? nullptr : &*found;
}

bool Fields::has(std::string_view key) const {
    return child(key) != nullptr;
}

const YamlNode* Fields::find(std::string_view key) const {
    const YamlNode* node = child(key);
    const bool usable = node != nullptr && node->kind != YamlNode::Kind::null && node->kind != YamlNode::Kind::refused;
    return usable ? node : nullptr;
}

const YamlNode* Fields::require(std::string_view key, std::string_view hint) const {
    if (is_map() && !has(key)) {
        mistakes_.add(map_.place, cat(quoted(key), " is missing"), std::string(hint));
    }
    return find(key);
}

std::vector<const YamlNode*> read_list(const YamlNode* node, std::size_t max, Mistakes& mistakes,
                                       std::string_view hint) {
    std::vector<const YamlNode*> items;
    if (node == nullptr || !expect_kind(*node, YamlNode::Kind::list, mistakes, hint)) {
        return items;
    }
    if (node->children.empty()) {
        mistakes.add(node->place, cat(label(*node), " is empty"), std::string(hint));
    }
    for (const auto& item : node->children) {
        if (items.size() == max) {
            mistakes.add(item.place, cat("too many items of ", quoted(node->key)), cat("at most ", max));
            break;
        }
        items.push_back(&item);
    }
    return items;
}

std::optional<std::string> read_any_text(const YamlNode* node, Mistakes& mistakes, std::string_view hint,
                                         std::size_t max) {
    if (node == nullptr || !expect_kind(*node, YamlNode::Kind::text, mistakes, hint)) {
        return std::nullopt;
    }
    if (node->text.find('\0') != std::string::npos) {
        mistakes.add(node->place, cat(label(*node), " holds a NUL byte"));
        return std::nullopt;
    }
    if (node->text.size() > max) {
        mistakes.add(node->place, cat(label(*node), " is too long"), cat("at most ", max, " bytes"));
        return std::nullopt;
    }
    return node->text;
}

std::optional<std::string> read_text(const YamlNode* node, Mistakes& mistakes, std::string_view hint) {
    auto text = read_any_text(node, mistakes, hint);
    if (text && text->empty()) {
        mistakes.add(node->place, cat(label(*node), " is empty"), std::string(hint));
        return std::nullopt;
    }
    return text;
}

std::optional<int> read_number(const YamlNode* node, const Range<int>& range, Mistakes& mistakes) {
    const std::string hint = cat(range.min, " to ", range.max);
    const auto text = read_text(node, mistakes, hint);
    if (!text) {
        return std::nullopt;
    }
    const auto value = parse_decimal(*text, static_cast<std::uint64_t>(range.max));
    if (!value || static_cast<int>(*value) < range.min) {
        const bool digits = text->find_first_not_of("0123456789") == std::string::npos;
        const bool zero = digits && text->size() > 1 && text->front() == '0';
        mistakes.add(node->place,
                     cat(label(*node), ": ", digits ? shown(*text) : quoted(*text),
                         zero     ? " has a leading zero"
                         : digits ? " is out of range"
                                  : " is no whole number"),
                     hint);
        return std::nullopt;
    }
    return static_cast<int>(*value);
}

std::optional<Bytes> read_size(const YamlNode* node, const Range<Bytes>& range, Mistakes& mistakes) {
    constexpr std::string_view kHint = "a whole number and K, M or G, such as 64M";
    const auto text = read_text(node, mistakes, kHint);
    if (!text) {
        return std::nullopt;
    }
    constexpr std::string_view kUnits = "KMG";
    const auto unit = kUnits.find(text->back());
    const auto count = parse_decimal(std::string_view(*text).substr(0, text->size() - 1), 1ULL << 30U);
    if (unit == std::string_view::npos || !count) {
        mistakes.add(node->place, cat(label(*node), ": ", quoted(*text), " is no size"), std::string(kHint));
        return std::nullopt;
    }
    const Bytes bytes = *count << (10 * (unit + 1));
    if (bytes < range.min || bytes > range.max) {
        mistakes.add(node->place, cat(label(*node), ": ", *text, " is out of range"),
                     cat(format_size(range.min), " to ", format_size(range.max)));
        return std::nullopt;
    }
    return bytes;
}

std::optional<bool> read_flag(const YamlNode* node, Mistakes& mistakes) {
    return read_choice<bounds::kFlag>(node, mistakes);
}

std::optional<Millis> read_duration(const YamlNode* node, const Range<Millis>& range, Mistakes& mistakes) {
    constexpr std::string_view kHint = "a number and ms, s, m or h, such as 500ms or 2s";
    const auto text = read_text(node, mistakes, kHint);
    if (!text) {
        return std::nullopt;
    }
    const auto value = parse_duration(*text);
    if (!value) {
        mistakes.add(node->place, cat(label(*node), ": ", quoted(*text), " is no duration"), std::string(kHint));
        return std::nullopt;
    }
    if (*value < range.min || *value > range.max) {
        mistakes.add(node->place, cat(label(*node), ": ", *text, " is out of range"),
                     cat(format_duration(range.min), " to ", format_duration(range.max)));
        return std::nullopt;
    }
    return value;
}

std::optional<WallTime> read_wall_time(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "such as 2026-12-31T23:59:00Z, or with an offset: 2026-12-31T23:59:00+01:00";
    const auto text = read_text(node, mistakes, kHint);
    const auto time = text ? parse_wall_time(*text) : std::nullopt;
    if (text && !time) {
        // Nobody knows which end of a day is meant, nor whose clock, where that is not said.
        const bool whole = parse_wall_time(*text + "Z") || parse_wall_time(*text + "T00:00:00Z");
        mistakes.add(node->place, cat(label(*node), ": ", quoted(*text), whole ? " is of no time zone" : " is no time"),
                     std::string(kHint));
    }
    return time;
}

std::optional<std::size_t> read_choice_index(const YamlNode* node, std::string_view words, Mistakes& mistakes) {
    const auto known = words_in(words);
    const std::string hint = cat("one of ", listed(known));
    const auto text = read_text(node, mistakes, hint);
    if (!text) {
        return std::nullopt;
    }
    const auto found = std::find(known.begin(), known.end(), *text);
    if (found == known.end()) {
        mistakes.add(node->place, cat(label(*node), ": unknown value ", quoted(*text)), hint);
        return std::nullopt;
    }
    return static_cast<std::size_t>(found - known.begin());
}

}  // namespace viscum
