// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/report/document.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace viscum {
namespace {

/// NAME of "<!-- VERB NAME -->".
std::optional<std::string> mark_in(const std::string& line, std::string_view verb) {
    const std::string before = cat("<!-- ", verb, " ");
    constexpr std::string_view kAfter = " -->";
    if (!line.starts_with(before) || !line.ends_with(kAfter) || line.size() <= before.size() + kAfter.size()) {
        return std::nullopt;
    }
    return line.substr(before.size(), line.size() - before.size() - kAfter.size());
}

}  // namespace

Result<std::vector<std::string>> marks_of(const std::string& document) {
    std::vector<std::string> names;
    std::string open;
    for (const std::string& line : split(document, '\n')) {
        if (const auto begun = mark_in(line, "begin")) {
            if (!open.empty()) {
                return Error{EINVAL, cat("'", open, "' begins and has no end")};
            }
            if (std::ranges::find(names, *begun) != names.end()) {
                return Error{EINVAL, cat("'", *begun, "' begins twice")};
            }
            open = *begun;
            names.push_back(*begun);
        } else if (const auto ended = mark_in(line, "end")) {
            if (*ended != open) {
                return Error{EINVAL, cat("'", *ended, "' ends and has not begun")};
            }
            open.clear();
        }
    }
    if (!open.empty()) {
        return Error{EINVAL, cat("'", open, "' begins and has no end")};
    }
    return names;
}

Result<std::string> fill(const std::string& document, const std::map<std::string, std::string>& sections) {
    const auto marks = marks_of(document);
    if (!marks) {
        return marks.error();
    }
    for (const auto& [name, text] : sections) {
        if (std::ranges::find(*marks, name) == marks->end()) {
            return Error{ENOENT, cat("there is no '<!-- begin ", name, " -->' with its end")};
        }
    }
    std::vector<std::string> lines;
    bool replaced = false;  // within marks whose text is new
    for (const std::string& line : split(document, '\n')) {
        const auto begun = mark_in(line, "begin");
        replaced = replaced && !mark_in(line, "end");
        if (!replaced) {
            lines.push_back(line);
        }
        const auto section = begun ? sections.find(*begun) : sections.end();
        if (section != sections.end()) {
            lines.push_back(section->second);
            replaced = true;
        }
    }
    return join(lines, "\n");
}

}  // namespace viscum
