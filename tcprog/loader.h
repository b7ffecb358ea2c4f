// SPDX-License-Identifier: GPL-2.0-only
// The programs and their maps: loaded from the object that this program carries, or adopted from the pins of the
// viscumd before. Nothing is ever wiped; tables of an older layout are carried over (migrate.h).
//
//   DIR/v3/vs_rules, …           the maps (3: VS_ABI)
//   DIR/v3/vs_lan-DIGEST, …      the programs; DIGEST changes with the object and with the table sizes
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "tcprog/abi.h"
#include "tcprog/bpf_map.h"
#include "tcprog/migrate.h"

namespace viscum {

struct DatapathSizes {
    std::uint32_t rules = 256;
    std::uint32_t flows = 4096;
    std::uint32_t fragments = 256;
};

// What the maps that hold claims have room for.
constexpr std::uint32_t exact_capacity(const DatapathSizes& sizes) {
    return sizes.rules;
}
/// One more: see build_index().
constexpr std::uint32_t prefix_capacity(const DatapathSizes& sizes) {
    return sizes.rules + 1;
}
/// A range of ports takes at most 30 entries, and its old and new ones stand side by side during a change.
constexpr std::uint32_t port_capacity(const DatapathSizes& sizes) {
    return sizes.rules * 64;
}

/// Links of services with `egress`: each service may have two.
constexpr std::uint32_t link_capacity(const DatapathSizes& sizes) {
    return sizes.rules / 4 < 16 ? 16 : sizes.rules / 4;
}
/// Targets of all links together; an entry takes memory only where there is one.
constexpr std::uint32_t egress_capacity(const DatapathSizes& sizes) {
    return link_capacity(sizes) * 16;
}
/// UDP flows that services began; the kernel takes about 100 bytes for each from the start.
constexpr std::uint32_t out_capacity(const DatapathSizes& sizes) {
    return sizes.flows / 8 < 64 ? 64 : sizes.flows / 8;
}

struct BpfProgram {
    UniqueFd fd;
    std::uint32_t id = 0;
};

/// The maps and programs of one instance, kept open.
struct Datapath {
    std::string dir;
    DatapathSizes sizes;
    bool adopted = false;  // the programs were there already
    Carryover carryover;
    BpfMap<__u32, vs_config> config;
    BpfMap<__u32, vs_filter> filter;
    BpfMap<vs_exact_key, __u32> exact;
    BpfMap<vs_prefix_key, __u32> prefix;
    BpfMap<vs_port_key, __u32> port;
    BpfMap<__u32, vs_rule> rules;
    BpfMap<__u32, vs_claim> claims;
    BpfMap<vs_flow_key, vs_flow> flows;
    BpfMap<__u32, vs_lan_device> lans;
    BpfMap<__u32, vs_link> links;
    BpfMap<vs_egress_key, __u32> egress;
    UniqueFd link_counters;
    UniqueFd verdicts;
    UniqueFd counters;
    BpfProgram lan;
    BpfProgram service;
    BpfProgram vs_return;
};

/// Of an errno: another try may do better. What the kernel refuses otherwise it refuses for good.
constexpr bool is_for_now(int code) {
    return code == ENOMEM || code == EMFILE || code == ENFILE || code == EAGAIN || code == EINTR || code == ENOSPC;
}

/// What becomes of pins of a newer layout, which this program cannot read.
enum class NewerTables {
    refuse,   // errno_code EPROTO, and nothing is changed
    discard,  // removed, once ours are there; what is attached goes on without them until it is replaced
};

/// Mounts bpffs on /sys/fs/bpf where it is missing, makes DIR (mode 0700), adopts what fits and loads the rest. A map
/// whose size differs from `sizes` is made anew with what the old one held; programs that were loaded for others go on
/// where they are attached, but lose their pins. Where there are pins of an older layout, this is step 1 of migrate.h;
/// they stay until retire_pins(). Where our own are new and cannot be made whole, they are removed again, so that the
/// older viscumd can still be started. An error says which program or map the kernel refused, and its last words;
/// errno_code ENOEXEC: this kernel cannot have them.
Result<std::unique_ptr<Datapath>> open_datapath(const std::string& dir, const DatapathSizes& sizes,
                                                NewerTables newer = NewerTables::refuse);

/// Removes every pin of the instance, those of older layouts included. errno_code EPROTO: there are newer ones, and
/// nothing was removed. Idempotent.
Status remove_pins(const std::string& dir);

}  // namespace viscum
