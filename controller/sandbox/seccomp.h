// SPDX-License-Identifier: GPL-2.0-only
// The system calls that a service may not make (libseccomp), as a filter that the kernel takes.
//
// All are allowed but those listed (measured by docker's default profile and systemd's groups @clock, @cpu-emulation,
// @module, @mount, @obsolete, @raw-io, @reboot and @swap), and these by their arguments:
//   clone        with a flag that makes a namespace
//   socket       but AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK; of netlink NETLINK_ROUTE only (getaddrinfo(3)); raw
//                ones; SCTP, DCCP, UDP-Lite and L2TP, which no claim can be about
//   socketpair   but AF_UNIX
//   ioctl        TIOCSTI, TIOCLINUX, TIOCSETD
//   personality  but 0 and the question for it
//
// Numbers above those of kernel 6.18 answer ENOSYS, as on an older kernel: what this list cannot judge is not there.
// socketcall(2), which hides its arguments, is denied but on 32-bit x86 and s390x, whose C libraries still need it:
// there the network namespace and the lack of capabilities alone limit sockets.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace viscum {

/// An array of struct sock_filter, in bytes, for SECCOMP_SET_MODE_FILTER. Denied calls fail with EPERM; clone3 with
/// ENOSYS, because its flags cannot be looked at, and C libraries then use clone. A call of any ABI but the machine's
/// native one (32-bit programs, x32) ends the process with SIGSYS: one that cannot even exit would help nobody.
/// `allow` holds names of spec/allowances.h. The same set gives the same bytes. Names that this libseccomp does not
/// know are passed over. Takes about half a millisecond: nothing is kept between calls.
Result<std::string> seccomp_filter(const std::set<std::string>& allow);

/// The calls that fail whatever their arguments are, sorted; also those that this machine does not have.
std::vector<std::string_view> denied_calls(const std::set<std::string>& allow);

/// The capabilities that `allow` gives, as a bit mask.
std::uint64_t capability_mask(const std::set<std::string>& allow);

}  // namespace viscum
