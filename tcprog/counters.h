// SPDX-License-Identifier: GPL-2.0-only
// What the programs count, summed over the CPUs.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.h"
#include "tcprog/abi.h"
#include "tcprog/loader.h"

namespace viscum {

struct RuleCounters {
    std::uint64_t flows = 0;
    std::uint64_t packets_in = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t packets_out = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t flows_cloud = 0;
    std::array<std::uint64_t, VS_REASONS> cloud{};  // by reason: packets
    bool operator==(const RuleCounters&) const = default;
};

using Verdicts = std::array<std::uint64_t, VS_VERDICTS>;

Result<RuleCounters> read_counters(const Datapath& datapath, std::uint32_t rule);
Status clear_counters(const Datapath& datapath, std::uint32_t rule);
Result<Verdicts> read_verdicts(const Datapath& datapath);

/// "unclaimed", "no-listener", …: the stable name of a verdict, for reports. Empty for a number without meaning.
const char* verdict_name(std::size_t verdict);
inline const char* reason_name(std::size_t reason) {
    return verdict_name(VS_REASON_FIRST + reason);
}

}  // namespace viscum
