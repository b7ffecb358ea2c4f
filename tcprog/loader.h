// SPDX-License-Identifier: GPL-2.0-only
// The programs and their maps: loaded from the object that this program carries, or adopted from the pins of the
// viscumd before. Nothing is ever wiped.
//
//   DIR/v1/vs_rules, …           the maps
//   DIR/v1/vs_lan-DIGEST, …      the programs; DIGEST changes with the object and with the table sizes
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "tcprog/abi.h"
#include "tcprog/bpf_map.h"

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

struct BpfProgram {
    UniqueFd fd;
    std::uint32_t id = 0;
};

/// The maps and programs of one instance, kept open.
struct Datapath {
    DatapathSizes sizes;
    bool adopted = false;  // both programs were there already
    BpfMap<__u32, vs_config> config;
    BpfMap<vs_exact_key, __u32> exact;
    BpfMap<vs_prefix_key, __u32> prefix;
    BpfMap<vs_port_key, __u32> port;
    BpfMap<__u32, vs_rule> rules;
    BpfMap<__u32, vs_claim> claims;
    BpfMap<vs_flow_key, vs_flow> flows;
    BpfMap<__u32, vs_lan_device> lans;
    UniqueFd verdicts;
    UniqueFd counters;
    BpfProgram lan;
    BpfProgram service;
};

/// Mounts bpffs on /sys/fs/bpf where it is missing, makes DIR (mode 0700), adopts what fits and loads the rest. A map
/// whose size differs from `sizes` is made anew with what the old one held; programs that were loaded for others go on
/// where they are attached, but lose their pins. Refuses pins of a newer ABI and changes nothing then. An error says
/// which program or map the kernel refused, and its last words.
Result<std::unique_ptr<Datapath>> open_datapath(const std::string& dir, const DatapathSizes& sizes);

/// Removes every pin of the instance. Idempotent.
Status remove_pins(const std::string& dir);

}  // namespace viscum
