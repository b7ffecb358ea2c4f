// SPDX-License-Identifier: GPL-2.0-only
// What viscumd gives up at its start, wherever it was started from: systemd and procd may take the same away before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

struct KeptCapability {
    int number = 0;      // of linux/capability.h
    std::string name;    // "cap_chown"
    std::string reason;  // "makes devices in services' /dev", or that a service may be given it
    bool operator==(const KeptCapability&) const = default;
};

/// Pure: all that viscumd keeps, by number; packaging/systemd/viscumd.service holds the same. CAP_BPF and CAP_PERFMON
/// are not among them: CAP_SYS_ADMIN, which namespaces and mounts need, lets BPF programs in on every kernel.
/// DAC_READ_SEARCH is a part of DAC_OVERRIDE.
std::vector<KeptCapability> kept_capabilities();
/// The same as a bit mask.
std::uint64_t kept_capability_mask();

/// Takes every other capability out of the calling thread's bounding, permitted, effective, inheritable and ambient
/// sets; sets no_new_privs (nothing that viscumd runs is setuid); and lets neither itself nor what it starts write core
/// dumps: 1 is the limit at which a core_pattern that is a program gets none either (core(5)). Nothing is ever raised.
/// Idempotent. An error (EPERM: without CAP_SETPCAP, which a container's root may lack, the bounding set stays) leaves
/// all else done.
Status drop_privileges();

}  // namespace viscum
