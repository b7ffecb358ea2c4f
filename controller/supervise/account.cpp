// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/account.h"

#include <grp.h>
#include <pwd.h>

#include "base/text.h"

namespace viscum {

Result<Account> look_up_account(const std::string& user) {
    const auto number = user.empty() ? std::optional<std::uint64_t>(0) : parse_decimal(user, 0xfffffffe);
    errno = 0;
    const passwd* entry = number ? getpwuid(static_cast<uid_t>(*number)) : getpwnam(user.c_str());
    if (entry == nullptr && !number) {
        return errno == 0 || errno == ENOENT ? Error{ENOENT, cat("no such user '", user, "'")}
                                             : errno_error(cat("cannot look user '", user, "' up"));
    }
    Account account;
    if (entry == nullptr) {
        account.uid = static_cast<uid_t>(*number);
        account.gid = static_cast<gid_t>(*number);
        return account;
    }
    account.uid = entry->pw_uid;
    account.gid = entry->pw_gid;
    account.home = entry->pw_dir;
    if (user.empty()) {
        return account;
    }
    account.name = entry->pw_name;
    account.groups.resize(Account::kMaxGroups);
    int count = static_cast<int>(account.groups.size());
    if (getgrouplist(account.name.c_str(), account.gid, account.groups.data(), &count) < 0) {
        return Error{E2BIG, cat("user '", user, "' is in more than ", Account::kMaxGroups, " groups")};
    }
    account.groups.resize(static_cast<std::size_t>(count));
    return account;
}

std::vector<std::string> make_environment(const Account& account, const std::map<std::string, std::string>& env) {
    std::map<std::string, std::string> all = env;
    all.emplace("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    all.emplace("HOME", account.home);
    if (!account.name.empty()) {
        all.emplace("USER", account.name);
    }
    std::vector<std::string> lines;
    for (const auto& [key, value] : all) {
        lines.push_back(cat(key, "=", value));
    }
    return lines;
}

}  // namespace viscum
