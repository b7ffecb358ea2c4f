// SPDX-License-Identifier: GPL-2.0-only
// How viscumctl speaks: results on stdout, progress and errors on stderr, or one JSON document on stdout.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "controller/ipc/frame.h"
#include "controller/ipc/json.h"
#include "controller/spec/parse.h"

namespace viscum {

struct Console {
    std::function<void(std::string_view)> out;  // stdout
    std::function<void(std::string_view)> err;  // stderr
    bool json = false;
    bool colour = false;       // stdout is a terminal that shows colours
    bool live = false;         // stderr is a terminal: progress is written over itself
    std::size_t columns = 80;  // of that terminal
};

/// Found by json.h through argument-dependent lookup.
void fields(auto& io, FieldsOf<Diagnostic> auto& diagnostic) {
    io.field("file", diagnostic.file);
    io.field("line", static_cast<std::int64_t>(diagnostic.line));
    io.field("column", static_cast<std::int64_t>(diagnostic.column));
    io.field("what", diagnostic.what);
    io.field("hint", diagnostic.hint);
}

/// One step of a request under way; nothing with --json.
void show_progress(const Console& console, std::string_view message);
/// Takes the last progress message of a terminal away.
void end_progress(const Console& console);

/// Reports why a verb failed; returns its exit code.
///   viscumctl: WHAT
///     DETAIL
///     hint: what to do next
int fail(const Console& console, const Response& failure);
int fail(const Console& console, Code code, std::string what, std::string hint);
/// What is no mistake, and hardly meant: one "FILE:LINE:COLUMN: warning: WHAT (HINT)" each; nothing with --json.
void warn(const Console& console, const Diagnostics& diagnostics);
/// Mistakes in files, one "FILE:LINE:COLUMN: WHAT (HINT)" each.
int fail(const Console& console, const Diagnostics& diagnostics, std::string what);

}  // namespace viscum
