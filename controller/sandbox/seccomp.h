// SPDX-License-Identifier: GPL-2.0-only
// The system calls that a service may not make (libseccomp), as a filter that the kernel takes.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/result.h"

namespace viscum {

/// An array of struct sock_filter, in bytes, for SECCOMP_SET_MODE_FILTER. Denied calls fail with EPERM; clone3 with
/// ENOSYS, because its flags cannot be looked at, and C libraries then use clone. Only the machine's native ABI is
/// let in. `allow` holds names of spec/allowances.h. The same set gives the same bytes; each set is compiled once and
/// kept (a filter takes about a millisecond).
Result<std::string> seccomp_filter(const std::set<std::string>& allow);

/// The capabilities that `allow` gives, as a bit mask.
std::uint64_t capability_mask(const std::set<std::string>& allow);

}  // namespace viscum
