// SPDX-License-Identifier: GPL-2.0-only
// The object that this program carries, as libbpf reads it, and what libbpf says of it.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace viscum {

struct BpfObjectClose {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using BpfObject = std::unique_ptr<bpf_object, BpfObjectClose>;

/// The programs of this build.
std::string_view object_bytes();

/// Opened, and nothing of it loaded.
Result<BpfObject> open_object();

/// What libbpf says on its own account goes into errors, and not to standard error. Before the first call of tcprog.
void keep_libbpf_words();

/// The text has the kernel's reason, and libbpf's last words since open_object(). The code has not: EINVAL and EBUSY
/// mean something else to who asks. EIO: another try may do better. ENOEXEC: this kernel refuses it.
Error libbpf_failure(const std::string& context, int code);

}  // namespace viscum
