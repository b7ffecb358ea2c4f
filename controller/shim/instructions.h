// SPDX-License-Identifier: GPL-2.0-only
// The instructions of RUN_DIR/sandbox, which viscumd writes (sandbox/sandbox.h) and viscum-shim carries out. The file
// is a sequence of words, each ended by a NUL: an instruction's name, then its arguments, whose number is fixed. The
// last instruction is `end`: a file without it was not written to its end.
//
// Order matters: what comes later lies on top, and `proc` comes before all that is mounted in the root, because on
// kernels before 5.12 the flags of those are set by way of it. Those about the root come before those about the
// process, which `viscum-shim --enter` carries out alone. Paths begin with "/"; without another word they are those of
// the new root, and resolved in it: what a root's symbolic links point to is looked for inside.
#pragma once

#include <stddef.h>

namespace viscum {

enum class Op : unsigned char {
    hostname,
    scratch,
    root,
    layer,
    writable,
    mount,
    proc,
    hide,
    readonly,
    dev,
    sys,
    own,
    text,
    file,
    secret,
    cgroup,
    rlimit,
    user,
    capabilities,
    seccomp,
    directory,
    end,
};

struct InstructionForm {
    const char* name;
    int arity;
};

/// In the order of Op.
inline constexpr InstructionForm kInstructions[] = {
    {"hostname", 1},      // NAME
    {"scratch", 2},       // BYTES INODES: the private tmpfs that holds whatever the service may write
    {"root", 1},          // HOST_PATH: the root is this directory, as it is at each instant
    {"layer", 1},         // HOST_PATH: of an image; the topmost first
    {"writable", 0},      // the root may be changed, in memory
    {"mount", 1},         // HOST_PATH: another filesystem of the host, at the same place in the root, read-only
    {"proc", 1},          // OPTIONS for the kernel
    {"hide", 1},          // PATH: nothing is to be seen of it; it need not exist
    {"readonly", 1},      // PATH: not to be changed; it need not exist
    {"dev", 0},           // null, zero, full, random, urandom, tty and the customary links
    {"sys", 0},           // sysfs, read-only
    {"own", 4},           // PATH MODE UID GID: an empty directory of the service's own
    {"text", 2},          // PATH CONTENT: a read-only file
    {"file", 2},          // PATH HOST_PATH: the same, with what the host's file holds now
    {"secret", 4},        // PATH HOST_PATH UID GID: the same, for UID alone
    {"cgroup", 1},        // HOST_PATH: where a group is joined by writing 0
    {"rlimit", 3},        // RESOURCE SOFT HARD: "nofile", "core", "memlock", "msgqueue", "nproc"; "-": as it is;
                          // never raised
    {"user", 3},          // UID GID GROUPS: "4,24", or "-" for none
    {"capabilities", 1},  // MASK: decimal; all that any of the five sets may hold
    {"seccomp", 1},       // BYTES that RUN_DIR/seccomp has
    {"directory", 1},     // PATH where the service starts
    {"end", 0},
};
inline constexpr size_t kInstructionCount = sizeof kInstructions / sizeof kInstructions[0];
static_assert(kInstructionCount == static_cast<size_t>(Op::end) + 1);

inline constexpr size_t kMaxArguments = 4;
inline constexpr size_t kMaxSandboxBytes = 4U << 20;
inline constexpr size_t kMaxPlaces = 512;  // of own, text, file, secret and mount together
inline constexpr size_t kMaxLayers = 128;
inline constexpr size_t kMaxCgroups = 8;
inline constexpr size_t kMaxFileBytes = 1U << 20;  // of a file or a secret

}  // namespace viscum
