// SPDX-License-Identifier: GPL-2.0-only
// What `viscumctl savings` shows: the answer to the verb "savings", in Response::report.
// docs/json.md names each field; a field is added, never renamed or removed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/ipc/report.h"

namespace viscum {

/// One service and one day, or the sum of several.
struct SavingsRow {
    std::string service;  // empty: all of them
    std::string day;      // "2026-11-23", of the router's calendar; empty: before its clock was right, or several days
    std::uint64_t flows = 0;  // served here
    std::uint64_t bytes_in = 0, bytes_out = 0;
    std::uint64_t uplink_bytes_in = 0, uplink_bytes_out = 0;  // that the service itself fetched and sent
    std::int64_t kept_bytes = 0;                              // off the uplink; less than 0: it fetched more
    std::string saved;                                        // "1.4805", of the currency; empty: there is no price
    std::uint64_t flows_cloud = 0;                            // new flows given to the cloud
    std::vector<ReasonCount> cloud;                           // packets given to it, by reason
    std::uint64_t served_ms = 0;                              // how long new flows were served here,
    std::uint64_t cloud_ms = 0;                               // went to the cloud,
    std::uint64_t drained_ms = 0;                             // and went there because the operator wished it
    std::uint64_t failovers = 0;
    std::uint64_t failover_us = 0;  // all times to redirect together
    std::uint64_t here_count = 0;
    std::int64_t here_min_us = -1, here_mean_us = -1;  // round trips to the service, by its probe; -1: none
    std::uint64_t away_count = 0;
    std::int64_t away_min_us = -1, away_mean_us = -1;  // to the cloud, by a TCP handshake
    std::uint64_t away_failed = 0;                     // handshakes that did not come about
    bool operator==(const SavingsRow&) const = default;
};

struct SavingsReport {
    std::string zone;                // in which the router's days begin and end: "CET"
    std::string today;               // empty: its clock is not right yet
    std::uint64_t days = 0;          // that were asked for, today among them
    std::string cost_per_gb;         // "4.50 EUR"; empty: there is no price
    std::vector<SavingsRow> rows;    // by service, then by day
    std::vector<SavingsRow> totals;  // one a service, and the last of all
    bool operator==(const SavingsReport&) const = default;
};

std::string to_json(const SavingsReport& report);
std::optional<SavingsReport> savings_report_from_json(const std::string& text);

}  // namespace viscum
