// SPDX-License-Identifier: GPL-2.0-only
// The status page, as the build embedded it: its files, each under its own path, as a strict policy wants it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace viscum {

struct PageFile {
    const char* type;
    std::string_view text;
};

/// What is at `path`; nullopt: nothing of the page.
std::optional<PageFile> page_file(std::string_view path);

}  // namespace viscum
