// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/say.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"
#include "controller/ipc/json.h"

namespace viscum {

void write_out(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto written = write(fd, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return;
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
}

/// What others chose must not steer the terminal.
std::string printable(std::string text) {
    std::ranges::replace_if(
        text, [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB"};
    std::size_t unit = 0;
    auto value = static_cast<double>(bytes);
    for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) {
        value /= 1024;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text.data();
}

int fail(const Arguments& args, Exit code, const std::string& what, const std::string& hint) {
    if (args.json) {
        JsonOut error;
        error.field("message", what);
        error.field("hint", hint);
        JsonOut document;
        document.member("error", std::move(error).text());
        document.field("code", static_cast<std::uint64_t>(code));
        write_out(STDOUT_FILENO, std::move(document).text() + "\n");
    } else {
        write_out(STDERR_FILENO, cat("viscum-image: ", printable(what), "\n",
                                     hint.empty() ? "" : cat("  hint: ", printable(hint), "\n")));
    }
    return static_cast<int>(code);
}

int fail(const Arguments& args, const Error& error) {
    switch (error.errno_code) {
        case EBADMSG: return fail(args, Exit::invalid, error.what, "");
        case EKEYREJECTED: return fail(args, Exit::refused, error.what, "");
        case EBUSY: return fail(args, Exit::refused, error.what, "try again when it is done");
        case EPERM:
        case EACCES: return fail(args, Exit::failed, error.what, geteuid() == 0 ? "" : "run it as root");
        case ENOSPC:
            return fail(args, Exit::failed, error.what, "remove images that are not needed: viscumctl image list");
        default: return fail(args, Exit::failed, error.what, "");
    }
}

}  // namespace viscum
