// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/accounts.h"

#include <climits>
#include <vector>

#include "base/text.h"
#include "controller/image/bytes.h"

namespace viscum {
namespace {

// (uid_t)-1 is no id.
constexpr std::uint64_t kMaxId = UINT32_MAX - 1;
constexpr std::size_t kMaxLine = 4096;

struct Account {
    std::uint64_t uid = 0;
    std::optional<std::uint64_t> gid;
};

/// Calls `take` with the fields of each line until it returns true.
template <class Take>
void each_line(std::string_view text, Take take) {
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.size() <= kMaxLine && take(split(line, ':'))) {
            return;
        }
    }
}

std::optional<Account> find_account(std::string_view passwd, const std::string& name) {
    const auto number = parse_decimal(name, kMaxId);
    std::optional<Account> found;
    each_line(passwd, [&](const std::vector<std::string>& fields) {
        constexpr std::size_t kGid = 3;
        if (fields.size() <= kGid) {
            return false;
        }
        const auto uid = parse_decimal(fields[2], kMaxId);
        if (uid && (number ? *uid == *number : fields[0] == name)) {
            found = Account{*uid, parse_decimal(fields[kGid], kMaxId)};
        }
        return found.has_value();
    });
    return found || !number ? found : std::optional(Account{*number, {}});
}

std::optional<std::uint64_t> find_group(std::string_view group, const std::string& name) {
    if (const auto number = parse_decimal(name, kMaxId)) {
        return number;
    }
    std::optional<std::uint64_t> found;
    each_line(group, [&](const std::vector<std::string>& fields) {
        if (fields.size() > 2 && fields[0] == name) {
            found = parse_decimal(fields[2], kMaxId);
        }
        return found.has_value();
    });
    return found;
}

}  // namespace

Result<ImageUser> resolve_user(const std::string& user, std::string_view passwd, std::string_view group) {
    const auto colon = user.find(':');
    const std::string name = user.substr(0, colon);
    if (user.empty() || name == "root") {
        return ImageUser{};
    }
    const auto account = find_account(passwd, name);
    if (!account) {
        return bad_image(cat("its user '", name, "' is not in its /etc/passwd"));
    }
    auto gid = account->gid;
    if (colon != std::string::npos) {
        const std::string wanted = user.substr(colon + 1);
        gid = find_group(group, wanted);
        if (!gid) {
            return bad_image(cat("its group '", wanted, "' is not in its /etc/group"));
        }
    }
    if (account->uid == 0) {
        return ImageUser{};
    }
    ImageUser made{static_cast<uid_t>(account->uid), {}};
    if (gid && *gid != 0) {
        made.gid = static_cast<gid_t>(*gid);
    }
    return made;
}

}  // namespace viscum
