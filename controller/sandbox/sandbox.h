// SPDX-License-Identifier: GPL-2.0-only
// From a service's file and what is known of the machine: the sandbox in which it is to run, as a list of plain
// instructions that viscum-shim carries out one after the other. Pure: nothing here touches the kernel or a file.
//
// The shim knows neither YAML nor policy. It makes the root on a private tmpfs, pivots into it, and does everything
// else when nothing but that root is left to be seen: no name inside a root filesystem, whatever it is a link to, can
// then lead to the host.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "controller/spec/service_spec.h"

namespace viscum {

/// Who the service runs as.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string name;        // of its account; empty: it has none
    std::string home = "/";  // for HOME
    bool operator==(const Identity&) const = default;
};

/// A line of the service's /etc/hosts.
struct HostLine {
    IpAddress address;
    std::string names;  // separated by blanks
    bool operator==(const HostLine&) const = default;
};

/// A mount of the host (proc(5), mountinfo) that a service on the host's files gets to see, read-only.
struct HostMount {
    std::string path;
    std::string type;  // "ext4", "overlay", …
    bool operator==(const HostMount&) const = default;
};

/// All that a sandbox follows from. Paths are the host's.
struct SandboxInput {
    const ServiceSpec* spec = nullptr;
    std::string instance;  // its directories under /etc, /var/lib and /run are hidden
    Identity identity;
    std::vector<std::string> layers;        // of the image, the lowest first; empty without image
    std::vector<HostMount> host_mounts;     // without image and rootfs
    std::vector<std::string> cgroup_files;  // of the groups that the service's processes join
    std::vector<HostLine> hosts;            // beside localhost
    std::uint64_t memory_limit = 0;         // bytes, as enforced; 0: none
    std::string seccomp;                    // the filter as the kernel takes it (sandbox/seccomp.h); empty: none
};

/// The instructions, ready for the shim: words, each ended by a NUL. controller/shim/instructions.h lists them.
struct Sandbox {
    std::string words;
    std::string seccomp;
    bool operator==(const Sandbox&) const = default;
};

/// An error names the field of the service file that asks for something impossible.
Result<Sandbox> make_sandbox(const SandboxInput& input);

/// One instruction a line, for tests and for whoever debugs: "tmpfs /tmp size=…".
std::vector<std::string> describe(const Sandbox& sandbox);

/// The mounts in a text of /proc/self/mountinfo that hold files of the host: no kernel interfaces, nothing that later
/// mounts hide.
std::vector<HostMount> read_host_mounts(const std::string& mountinfo);

}  // namespace viscum
