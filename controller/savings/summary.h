// SPDX-License-Identifier: GPL-2.0-only
// Days as a report: what was asked for, with sums, and in money. Pure.
#pragma once

#include <optional>
#include <string>

#include "controller/ipc/savings_report.h"
#include "controller/savings/ledger.h"
#include "controller/spec/service_spec.h"

namespace viscum {

struct SavingsQuestion {
    std::string service;  // empty: all
    std::uint64_t days = 30;
    Day today = kUndated;
    std::string zone;
    std::optional<Price> price;
};

/// Rows and sums that fit one answer (kMaxJsonValues).
inline constexpr std::size_t kRowsAnswered = 4500;

/// The last `days` days, today among them, and what has no day. An error where that is more than kRowsAnswered.
Result<SavingsReport> summarize(const DayRows& rows, const SavingsQuestion& question);

/// "1.4805"; a negative number of bytes costs.
std::string money(std::int64_t bytes, const Price& price);

}  // namespace viscum
