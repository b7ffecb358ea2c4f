// SPDX-License-Identifier: GPL-2.0-only
// YAML to values. The only header behind which yaml-cpp is known.
//
// Hostile input is expected: the text is bounded before it is parsed (256 KiB, 20,000 indicators and lines), nesting
// to 16, nodes to 20,000. Aliases, anchors, tags, merge keys, duplicate keys, NUL and other control characters, tabs
// that indent and more than one document are refused. No text takes more than 100 ms or 16 MB.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "controller/spec/service_spec.h"

namespace viscum {

/// One mistake and its place. `line` and `column` count from 1, columns in bytes; 0 where the mistake has no place in
/// the file.
struct Diagnostic {
    std::string file;
    int line = 0;
    int column = 0;
    std::string what;  // "port 99999 is out of range"
    std::string hint;  // "a port is 1 to 65535, FIRST-LAST, or any"; may be empty

    bool operator==(const Diagnostic&) const = default;
    /// "FILE:LINE:COLUMN: WHAT (HINT)"
    [[nodiscard]] std::string text() const;
};

/// Every mistake that was found, in file order, at most 20; never empty in a failed parse.
using Diagnostics = std::vector<Diagnostic>;

template <class T>
using Parsed = std::variant<T, Diagnostics>;

/// `file` only names the text in diagnostics.
Parsed<ServiceSpec> parse_service(std::string_view text, const std::string& file);
Parsed<RouterConfig> parse_router_config(std::string_view text, const std::string& file);

/// Where a valid service file claims what takes no new flows any more at `now`: each `until` that is over.
Diagnostics ended_claims(std::string_view text, const std::string& file, WallTime now);

/// The file's bytes, refused unread when it is longer than the limit or no regular file ("-" is standard input).
Result<std::string> read_spec_file(const std::string& path);

}  // namespace viscum
