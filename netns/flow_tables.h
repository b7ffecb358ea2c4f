// SPDX-License-Identifier: GPL-2.0-only
// The flow tables of nftables, by which flows are forwarded past the rules ("flow offload").
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

struct FlowTable {
    std::string name;       // "fw4 ft": of the nftables table, and its own
    bool hardware = false;  // flows in it do not reach the processor (NF_FLOWTABLE_HW_OFFLOAD, kernel 5.5)
    bool operator==(const FlowTable&) const = default;
};

/// All of the calling thread's namespace. A kernel without nf_tables has none.
Result<std::vector<FlowTable>> list_flow_tables();

}  // namespace viscum
