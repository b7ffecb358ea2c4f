// SPDX-License-Identifier: GPL-2.0-only
// What services and their files may be called, wherever such a name comes from: a service file, a bundle, a backup.
#pragma once

#include <string_view>

#include "controller/spec/bounds.h"

namespace viscum {

/// 1 to 32 of a-z, 0-9 and, within, '-'.
constexpr bool is_service_name(std::string_view name) {
    return !name.empty() && name.size() <= bounds::kMaxName &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos &&
           name.front() != '-' && name.back() != '-';
}

/// Of `files:` and secrets: 1 to 64 letters, digits and ._-, and no '.' first.
constexpr bool is_file_name(std::string_view name) {
    return !name.empty() && name.size() <= bounds::kMaxFileName && name.front() != '.' &&
           name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               std::string_view::npos;
}

}  // namespace viscum
