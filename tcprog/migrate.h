// SPDX-License-Identifier: GPL-2.0-only
// Tables of an older layout: what they hold is carried over, map by map, into tables of ours (docs/adr/0011).
//
// The rule. A map is known by its name, and a name keeps its meaning: layouts may differ in that bytes are appended to
// a value, zero for what is not known, and in that maps are added that mean, empty, what there was before. Whatever
// else changes in a map gets it a new name, and abi.h's VS_ABI counts each change. So, for each map of ours,
//
//   - one with the same layout and size is taken over itself: programs of both versions work on one map, and nothing
//     needs to be copied;
//   - one with another size, or with a longer value, is copied;
//   - one that has another type or key, or a shorter value, is not carried (`lost`), and begins empty.
//
// The order, which a kill at any moment leaves so that the next start goes on where it was:
//
//   1. Maps are made, filled and then pinned, one by one; programs are pinned last (open_datapath). The lease and the
//      rules are in them as the last viscumd wrote them: with them our programs decide as the attached ones do.
//   2. catch_up(): what the attached programs wrote meanwhile, perhaps for minutes if the start before was killed.
//   3. Our programs are put in the place of the attached ones, device by device (renew_filter in attach.h), but only
//      where all maps of the attached one were carried. Others wait until the daemon has written its rules.
//   4. catch_up() once more, for what was written between 2 and 3.
//   5. When no device has an earlier program any more, catch_up() for the last time, and the older pins go
//      (retire_pins).
//
// What may be missing, in maps that were copied: of what is counted, and of flows that begin, the milliseconds from 2
// to 4. A UDP flow that begins then may lose its first datagrams, and a datagram its later fragments, where one device
// has the new program and the other not yet; a TCP connection with the cloud whose 4-tuple the service holds in
// TIME-WAIT may wait for a retransmission. For all other TCP the rules are enough. Counters never go back.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tcprog/bpf_map.h"

namespace viscum {

struct MapName {
    const char* name;
    /// How what programs wrote is brought in, at first and since; nullopt: viscumd alone writes it, so it is copied
    /// once.
    std::optional<Carry> later;
};
inline constexpr std::array<MapName, 17> kMaps{{{"vs_config", std::nullopt},
                                                {"vs_exact", std::nullopt},
                                                {"vs_prefix", std::nullopt},
                                                {"vs_port", std::nullopt},
                                                {"vs_rules", std::nullopt},
                                                {"vs_claims", std::nullopt},
                                                {"vs_flows", Carry::latest},
                                                {"vs_sources", Carry::missing},
                                                {"vs_fragments", Carry::latest},
                                                {"vs_lans", std::nullopt},
                                                {"vs_verdicts", Carry::highest},
                                                {"vs_links", std::nullopt},
                                                {"vs_egress", std::nullopt},
                                                {"vs_outs", Carry::latest},
                                                {"vs_link_counters", Carry::highest},
                                                {"vs_counters", Carry::highest},
                                                {"vs_filter", std::nullopt}}};

/// What there is beside our own tables.
struct Carryover {
    std::vector<std::uint32_t> older;      // versions whose pins are still there
    std::vector<std::uint32_t> discarded;  // newer ones, that are gone now
    std::vector<std::string> lost;         // maps of `older` that cannot be carried
    std::vector<std::uint32_t> maps;       // ids of ours, and of those of `older` that are carried
};

/// The older map that fills a map of ours, of the newest version that has one; an empty descriptor where there is none.
/// Failure: it cannot be seen whether there is one.
Result<UniqueFd> older_map(const std::string& dir, const char* name);

/// Looks at what stands beside our pins, which are whole.
Result<Carryover> look_beside(const std::string& dir);

/// Steps 2 and 4. Idempotent. What cannot be read now is brought in by the next.
void catch_up(const std::string& dir, const Carryover& carryover);

/// Step 5: removes the pins of `carryover.older`. Idempotent.
Status retire_pins(const std::string& dir, Carryover& carryover);

}  // namespace viscum
