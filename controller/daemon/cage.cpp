// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/cage.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "base/text.h"
#include "controller/spec/allowances.h"

namespace viscum {
namespace {

struct Need {
    int number;
    std::string_view name;
    std::string_view reason;
};

/// viscumd's own, and viscum-shim's before it becomes the service.
constexpr std::array kOwn{
    Need{CAP_CHOWN, "cap_chown", "gives services their directories, secrets and output"},
    Need{CAP_DAC_OVERRIDE, "cap_dac_override", "reaches root filesystems through directories of other users"},
    Need{CAP_FOWNER, "cap_fowner", "sets the modes of what services own"},
    Need{CAP_FSETID, "cap_fsetid", "copies setgid files into writable roots as they are"},
    Need{CAP_KILL, "cap_kill", "ends services of other users"},
    Need{CAP_SETGID, "cap_setgid", "gives services their groups"},
    Need{CAP_SETUID, "cap_setuid", "gives services their users"},
    Need{CAP_SETPCAP, "cap_setpcap", "empties services' bounding sets"},
    Need{CAP_NET_ADMIN, "cap_net_admin", "makes links, addresses, filters and masquerading"},
    Need{CAP_SYS_CHROOT, "cap_sys_chroot", "enters services' mount namespaces"},
    Need{CAP_SYS_PTRACE, "cap_sys_ptrace", "sees the namespaces and limits of services of other users"},
    Need{CAP_SYS_ADMIN, "cap_sys_admin", "makes namespaces and mounts, loads BPF programs"},
    Need{CAP_SYS_RESOURCE, "cap_sys_resource", "makes BPF maps beyond RLIMIT_MEMLOCK, on kernels before 5.11"},
    Need{CAP_MKNOD, "cap_mknod", "makes the devices in services' /dev"},
};

constexpr std::uint64_t bit(int number) {
    return std::uint64_t{1} << number;
}

Status lower_core_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_CORE, &limit) != 0) {
        return errno_error("cannot read RLIMIT_CORE");
    }
    limit.rlim_max = std::min<rlim_t>(limit.rlim_max, 1);
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_CORE, &limit) == 0 ? Status() : Status(errno_error("cannot lower RLIMIT_CORE"));
}

Status drop_bounding(std::uint64_t keep) {
    for (int number = 0; number < 64; ++number) {
        const int held = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
        if (held < 0) {
            break;  // past the last one that the kernel knows
        }
        if (held == 1 && (keep & bit(number)) == 0 && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) {
            return errno_error(cat("cannot drop capability ", number, " from the bounding set"));
        }
    }
    return {};
}

Status drop_sets(std::uint64_t keep) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    if (syscall(SYS_capget, &header, sets.data()) != 0) {
        return errno_error("cannot read capabilities");
    }
    for (std::size_t half = 0; half < sets.size(); ++half) {
        auto& set = sets.at(half);
        set.permitted &= static_cast<std::uint32_t>(keep >> (32 * half));
        set.effective &= set.permitted;
        set.inheritable = 0;
    }
    if (syscall(SYS_capset, &header, sets.data()) != 0) {
        return errno_error("cannot drop capabilities");
    }
    return {};
}

}  // namespace

std::vector<KeptCapability> kept_capabilities() {
    std::map<int, KeptCapability> kept;
    for (const auto& [number, name, reason] : kOwn) {
        kept[number] = {number, std::string(name), std::string(reason)};
    }
    for (const auto& [name, number] : kCapabilities) {
        auto& entry = kept[number];
        const std::string before = entry.reason.empty() ? "" : entry.reason + "; ";
        entry = {number, std::string(name), before + "a service may be given it"};
    }
    std::vector<KeptCapability> all;
    for (auto& [number, entry] : kept) {
        all.push_back(std::move(entry));
    }
    return all;
}

std::uint64_t kept_capability_mask() {
    std::uint64_t mask = 0;
    for (const auto& kept : kept_capabilities()) {
        mask |= bit(kept.number);
    }
    return mask;
}

Status drop_privileges() {
    const auto keep = kept_capability_mask();
    Status status = lower_core_limit();
    const auto note = [&](Status next) { status = status ? std::move(next) : std::move(status); };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        note(errno_error("cannot set no_new_privs"));
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
        note(errno_error("cannot clear the ambient set"));
    }
    note(drop_bounding(keep));  // needs CAP_SETPCAP, which stays
    note(drop_sets(keep));
    return status;
}

}  // namespace viscum
