// SPDX-License-Identifier: GPL-2.0-only
// The names under which a service file opts out of the sandbox, item by item: `sandbox: { allow: [...] }`.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace viscum {

struct Allowance {
    std::string_view name;
    std::string_view what;  // that the service may then do, for messages and the audit
};

/// Everything but capabilities.
inline constexpr std::array<Allowance, 11> kAllowances{{
    {"root", "run as root, still without capabilities"},
    {"writable-root", "change its root filesystem, in memory"},
    {"proc", "see all of /proc of its own processes' kernel"},
    {"sys", "read /sys"},
    {"ptrace", "trace its own processes"},
    {"namespaces", "make user namespaces, and mounts and other namespaces within them"},
    {"bpf", "load BPF programs"},
    {"keyring", "use the kernel's keyrings"},
    {"userfaultfd", "handle page faults"},
    {"io_uring", "use io_uring, whose sockets pass no filter"},
    {"perf", "use performance counters"},
}};

/// A capability that may be given (capabilities(7)); those that amount to the host itself (sys_admin, sys_module,
/// sys_rawio, sys_ptrace, bpf, net_admin of the router, …) cannot. Each works within the service's own namespaces.
struct CapabilityName {
    std::string_view name;  // "cap_setuid"
    int number;             // of linux/capability.h
};
inline constexpr std::array<CapabilityName, 13> kCapabilities{{
    {"cap_chown", 0},
    {"cap_dac_override", 1},
    {"cap_fowner", 3},
    {"cap_fsetid", 4},
    {"cap_kill", 5},
    {"cap_setgid", 6},
    {"cap_setuid", 7},
    {"cap_setpcap", 8},
    {"cap_net_bind_service", 10},
    {"cap_net_raw", 13},
    {"cap_ipc_lock", 14},
    {"cap_sys_chroot", 18},
    {"cap_sys_nice", 23},
}};

/// The number of a capability's name; nullopt for any other name.
constexpr std::optional<int> capability_number(std::string_view name) {
    for (const auto& known : kCapabilities) {
        if (known.name == name) {
            return known.number;
        }
    }
    return std::nullopt;
}

}  // namespace viscum
