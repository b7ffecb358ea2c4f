// SPDX-License-Identifier: GPL-2.0-only
// Who an image's configuration means by `User`, by the image's own passwd(5) and group(5). Pure; every line may be
// hostile.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace viscum {

constexpr std::size_t kMaxAccountFile = 1024UL * 1024;

struct ImageUser {
    std::optional<uid_t> uid;  // nullopt: none, or root
    std::optional<gid_t> gid;  // nullopt: none, or root's; only beside a uid
    bool operator==(const ImageUser&) const = default;
};

/// `user`: "", "NAME", "UID", each maybe with ":GROUP" or ":GID". A name without an entry is bad_image(); a number
/// needs none. Without a group it is the account's own.
Result<ImageUser> resolve_user(const std::string& user, std::string_view passwd, std::string_view group);

}  // namespace viscum
