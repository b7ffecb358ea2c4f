// SPDX-License-Identifier: GPL-2.0-only
// The ledger on disk: two files of one format, so that what is written every quarter of an hour is small.
//
//   /var/lib/NAME/savings        all days up to the one on which it was written, once a day
//   /var/lib/NAME/savings.today  what was counted since
//
// Both hold what was counted last. The short one continues the long one whose sequence number it names; beside a
// longer one that was written after it, it is old: all that it holds is in there. Pure.
#pragma once

#include <string>

#include "base/result.h"
#include "controller/savings/ledger.h"

namespace viscum {

inline constexpr std::size_t kClaimsKept = 4096;              // of all services; what was counted last of others
inline constexpr std::size_t kLedgerLimit = 4 * 1024 * 1024;  // no file is longer

/// "viscum-savings 1 SEQUENCE CHECKSUM\n", then a line each: "boot ID", "newest DAY", "partial", "day SERVICE DAY
/// FIGURE…", "claim SERVICE CLAIM NUMBER…", "link SERVICE DEVICE IN OUT". Lines of other kinds, and figures behind the
/// last one that is known, are passed over.
std::string encode_ledger(const LedgerState& state);
/// An error for whatever encode_ledger did not write, whole and unchanged.
Result<LedgerState> decode_ledger(const std::string& bytes);

}  // namespace viscum
