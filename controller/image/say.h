// SPDX-License-Identifier: GPL-2.0-only
// How viscum-image answers: for people, or in JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "controller/image/arguments.h"

namespace viscum {

enum class Exit : std::uint8_t { done = 0, failed = 1, invalid = 2, refused = 5, no_such_image = 6 };

constexpr std::size_t kShortDigest = 12;

void write_out(int fd, std::string_view text);

/// What others chose must not steer the terminal.
std::string printable(std::string text);

/// "1.5 MiB"
std::string size_text(std::uint64_t bytes);

/// What went wrong, and the exit code for it.
int fail(const Arguments& args, Exit code, const std::string& what, const std::string& hint);
int fail(const Arguments& args, const Error& error);

}  // namespace viscum
