// SPDX-License-Identifier: GPL-2.0-only
// viscum-exporter's account in the sandbox's own files of accounts, and what is done under an account.
#pragma once

#include <sys/types.h>

#include <functional>

namespace viscum {

constexpr uid_t kObserver = 64'901;  // and its group
constexpr uid_t kStranger = 64'902;  // of no group that counts

/// To be called before viscumd starts, which looks the group up.
void make_observer_account();
/// As before the package was installed.
void remove_observer_account();

/// `body` in a child of that user and group, without other groups; its exit status.
int as_account(uid_t user, gid_t group, const std::function<int()>& body);

}  // namespace viscum
