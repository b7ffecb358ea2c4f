// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/console.h"

#include "base/text.h"
#include "controller/ctl/render.h"

namespace viscum {

namespace {

std::string error_document(const Response& failure, const Diagnostics& diagnostics) {
    JsonOut error;
    error.field("message", failure.message);
    error.field("hint", failure.hint);
    error.field("details", failure.details);
    error.field("diagnostics", diagnostics);
    JsonOut document;
    document.member("error", std::move(error).text());
    document.field("code", static_cast<std::uint64_t>(failure.code));
    return std::move(document).text() + "\n";
}

Response make_failure(Code code, std::string what, std::string hint) {
    Response failure;
    failure.code = code;
    failure.message = std::move(what);
    failure.hint = std::move(hint);
    return failure;
}

}  // namespace

void show_progress(const Console& console, std::string_view message) {
    if (console.json) {
        return;
    }
    if (console.live) {
        console.err(cat("\r\x1b[K", cut_to(printable(message), console.columns - 1)));
    } else {
        console.err(printable(message) + "\n");
    }
}

void end_progress(const Console& console) {
    if (console.live && !console.json) {
        console.err("\r\x1b[K");
    }
}

int fail(const Console& console, const Response& failure) {
    if (console.json) {
        console.out(error_document(failure, {}));
        return static_cast<int>(failure.code);
    }
    std::string text;
    for (const auto& line : split(failure.message, '\n')) {  // one per service, where there are several
        text += cat("viscumctl: ", printable(line), "\n");
    }
    for (const auto& detail : failure.details) {
        text += cat("  ", printable(detail), "\n");
    }
    if (!failure.hint.empty()) {
        text += cat("  hint: ", printable(failure.hint), "\n");
    }
    console.err(text);
    return static_cast<int>(failure.code);
}

int fail(const Console& console, Code code, std::string what, std::string hint) {
    return fail(console, make_failure(code, std::move(what), std::move(hint)));
}

void warn(const Console& console, const Diagnostics& diagnostics) {
    for (Diagnostic diagnostic : diagnostics) {
        diagnostic.what = "warning: " + diagnostic.what;
        if (!console.json) {
            console.err(printable(diagnostic.text()) + "\n");
        }
    }
}

int fail(const Console& console, const Diagnostics& diagnostics, std::string what) {
    const Response failure = make_failure(Code::invalid, std::move(what), "");
    if (console.json) {
        console.out(error_document(failure, diagnostics));
        return static_cast<int>(Code::invalid);
    }
    for (const auto& diagnostic : diagnostics) {
        console.err(printable(diagnostic.text()) + "\n");
    }
    return fail(console, failure);
}

}  // namespace viscum
