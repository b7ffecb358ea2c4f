// SPDX-License-Identifier: GPL-2.0-only
// What the exporter gives up before it hears from anybody: root, new privileges, descriptors beyond its own, and system
// calls that it does not make.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace viscum {

/// As root it becomes the account viscum-exporter, whose absence is an error: nothing here is done with root's rights.
/// Another account stays as it is. `lacks` says what this kernel cannot do; it goes on without that.
Status shut_exporter_cage(std::string* lacks);

/// The calls that are left, as an array of struct sock_filter in bytes, for SECCOMP_MODE_FILTER. `architecture` is one
/// of libseccomp's (SCMP_ARCH_X86), of this machine's byte order.
Result<std::string> exporter_filter(std::uint32_t architecture);

}  // namespace viscum
