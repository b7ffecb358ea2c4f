// SPDX-License-Identifier: GPL-2.0-only
// What a service can and cannot do: judged by what the kernel says of its process, not by what its file asks for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "controller/sandbox/cgroup.h"
#include "controller/spec/service_spec.h"

namespace viscum {

/// What proc(5) says of a service's main process.
struct ProcessFacts {
    uid_t uid = 0;                   // effective; 0 where the real, the saved or the filesystem's is
    gid_t gid = 0;                   // the same
    std::uint64_t capabilities = 0;  // of all five sets together
    bool no_new_privs = false;
    bool seccomp = false;
    std::vector<std::string> shared_namespaces;  // with viscumd: "mnt", "pid", "ipc", "uts", "net", "cgroup"
    bool root_writable = false;
    bool sees_sys = false;             // its /sys has something in it, or a sysfs is mounted elsewhere
    bool sees_processes = false;       // a /proc of it is without hidepid or masks
    std::uint64_t open_files = 0;      // hard RLIMIT_NOFILE; 2^64 - 1: unlimited
    bool core_dumps = false;           // RLIMIT_CORE lets one be written or piped (core(5))
    std::vector<std::string> devices;  // in its /dev and below, beside null, zero, full, random, urandom and tty; 32 at
                                       // most
    bool operator==(const ProcessFacts&) const = default;
};

/// By the process's files under /proc: the caller is root, with CAP_SYS_PTRACE, in the same pid namespace or above.
/// errno_code ESRCH: it has ended, also while it was looked at.
Result<ProcessFacts> read_process_facts(pid_t pid);

/// Pure: what the texts of /proc/PID/status, mountinfo and limits say. `piped`: a program gets the machine's cores.
void add_status(std::string_view status, ProcessFacts& facts);
void add_mounts(std::string_view mountinfo, ProcessFacts& facts);
void add_limits(std::string_view limits, bool piped, ProcessFacts& facts);

struct AuditItem {
    std::string name;  // "capabilities", "user", "egress", "allow-bpf", …: stable, for --json
    bool ok = true;
    int exposure = 0;  // 0 where ok, otherwise its weight or a part of it: tenths of a point
    std::string text;  // "runs as uid 1879052301, an account of its own"
    bool operator==(const AuditItem&) const = default;
};

struct Audit {
    std::vector<AuditItem> items;
    /// 0.0 (nothing is exposed) to 10.0: in the manner of `systemd-analyze security`, the weights of what is exposed.
    /// All weights together are 10 points.
    double score = 0;
    std::string word;  // "OK" up to 2, "MEDIUM" up to 4, "EXPOSED" up to 7, "UNSAFE"; never "OK" without one of the
                       // walls: an uid of its own, no capabilities, no new privileges, seccomp, a network of its own
};

/// Pure. `facts` is nullopt where the service does not run: then its file is judged, and that is said. `missing` are
/// limits that this machine cannot keep.
Audit audit_service(const ServiceSpec& spec, const std::optional<ProcessFacts>& facts,
                    const std::vector<std::string>& missing);

}  // namespace viscum
