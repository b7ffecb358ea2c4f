// SPDX-License-Identifier: GPL-2.0-only
// viscum-exporter's account in the sandbox's own files of accounts, and what is done under an account.
#pragma once

#include <sys/types.h>

#include <functional>

namespace viscum {

constexpr uid_t kObserver = 64'901;     // and its group
constexpr uid_t kStranger = 64'902;     // of no group that counts
constexpr uid_t kNewObserver = 64'903;  // the account's number after a reinstallation

/// Where there is none yet. viscumd looks the group up when it starts, and on SIGHUP.
void make_observer_account(uid_t number = kObserver);
/// As before the package was installed.
void remove_observer_account();

/// `body` in a child of that user and group, without other groups; its exit status.
int as_account(uid_t user, gid_t group, const std::function<int()>& body);

}  // namespace viscum
