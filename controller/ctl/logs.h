// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl logs`: a service's log as its shim writes it, FILE and the generation before, FILE.1. Each line is
// "2026-01-02T03:04:05.678Z TEXT". Read where it is, without the daemon, and in blocks: memory does not grow with it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "controller/ctl/commands.h"

namespace viscum {

/// The last `lines` lines; with `follow` also what comes, over rotations, until SIGINT or SIGTERM, or until nobody
/// reads standard output any more. `plain`: standard output is a terminal, which control characters would move.
int logs(const Session& session, const std::string& service, bool follow, std::size_t lines, bool plain);

/// Writes log bytes as they come: verbatim, without control characters, or as one {"time", "text"} a line.
class LogWriter {
public:
    enum class Form { verbatim, printable, json };
    LogWriter(Form form, std::function<void(std::string_view)> out) : form_(form), out_(std::move(out)) {}
    void write(std::string_view bytes);
    /// A last line without its end.
    void finish();

private:
    void end_line();
    Form form_;
    std::function<void(std::string_view)> out_;
    std::string line_;
};

}  // namespace viscum
