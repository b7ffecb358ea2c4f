// SPDX-License-Identifier: GPL-2.0-only
// Whose rights and whose environment a command gets. The look-ups may ask the network (nsswitch.conf), so they are made
// in viscumd, never in the shim.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

struct Account {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // supplementary ones; at most kMaxGroups
    std::string home = "/";
    std::string name;  // empty where the service names no user, or a number that passwd does not know

    static constexpr std::size_t kMaxGroups = 1024;
};

/// `user` is a name of passwd or a number; empty: root, without supplementary groups. A number that passwd does not
/// know is its own group. errno_code ENOENT for an unknown name.
Result<Account> look_up_account(const std::string& user);

/// PATH, HOME, USER (when the account has a name) and `env`, which wins; nothing of our own. As execve takes it.
std::vector<std::string> make_environment(const Account& account, const std::map<std::string, std::string>& env);

}  // namespace viscum
