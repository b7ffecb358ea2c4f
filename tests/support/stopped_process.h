// SPDX-License-Identifier: GPL-2.0-only
// A process that ptrace(2) has stopped at a system call: what it is about to do, and how that is changed. x86-64 and
// aarch64; elsewhere nothing is changed (SyscallTracer::possible()).
#pragma once

#include <sys/ptrace.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace viscum {

/// ptrace(2), without its variable arguments.
long ptrace_call(__ptrace_request request, pid_t pid, std::uintptr_t address, std::uintptr_t data);

/// "openat"; "call-999" of one that libseccomp does not know.
std::string syscall_name(std::uint64_t number);
/// Which argument of a call is a path, from 0.
std::optional<std::size_t> path_argument(std::string_view name);
/// At most 255 bytes, and no further than the page: paths are for people to read.
std::string string_at(pid_t pid, std::uint64_t address);

/// At the entry of a call: it is not carried out.
void skip_call(pid_t pid);
/// At its exit: what it returns.
void set_result(pid_t pid, std::int64_t result);

/// Whether its name, or the end of the path in its argv[0], is `name`.
bool goes_by(pid_t pid, const std::string& name);

}  // namespace viscum
