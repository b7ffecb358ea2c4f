// SPDX-License-Identifier: GPL-2.0-only
// YAML text to a small tree that knows its places. The only include of yaml-cpp is behind it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/spec/mistakes.h"

namespace viscum {

struct YamlNode {
    enum class Kind { null, text, list, map, refused };  // refused: was reported already, say no more of it

    Kind kind = Kind::null;
    bool is_item = false;        // of a list; `key` is the list's own
    bool double_quoted = false;  // "text", in which YAML itself decodes backslashes
    bool key_refused = false;    // in a map: the key was reported already
    Place place;
    Place key_place;                 // in a map
    std::string key;                 // in a map; at most 128 bytes, longer ones are reported and cut
    std::string text;                // as it is written, never typed: NO, 08 and 1e3 are text
    std::vector<YamlNode> children;  // of a list or map, in file order
};

/// The tree of the only document in `text`, or nothing, and a mistake, for a text that is no YAML or goes beyond the
/// bounds of parse.h. Where a tree is returned there may be mistakes as well: anchors, aliases, tags, merge keys,
/// duplicate keys (the first one counts), keys that are no text. An empty text is a null node.
std::optional<YamlNode> read_yaml(std::string_view text, Mistakes& mistakes);

}  // namespace viscum
