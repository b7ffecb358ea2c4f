// SPDX-License-Identifier: GPL-2.0-only
// What is kept of one service and one day. Sums stop at the largest number instead of beginning anew.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace viscum {

/// Why packets of claims went to the cloud: the names of tcprog/counters.h; any other one is the last.
inline constexpr std::array kCloudReasons{"no-listener",   "draining",   "not-admitted",
                                          "lease-expired", "cloud-flow", "other"};
std::size_t cloud_reason(std::string_view name);

inline std::uint64_t add_up(std::uint64_t a, std::uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

struct RoundTrips {
    std::uint64_t count = 0;
    std::uint64_t least_us = 0;  // 0: there is none
    std::uint64_t sum_us = 0;
    bool operator==(const RoundTrips&) const = default;
    void add(const RoundTrips& other);
    [[nodiscard]] std::uint64_t mean_us() const { return count == 0 ? 0 : sum_us / count; }
};

struct DayFigures {
    std::uint64_t flows = 0;  // served here
    std::uint64_t bytes_in = 0, bytes_out = 0;
    std::uint64_t uplink_in = 0, uplink_out = 0;              // bytes that the service itself fetched and sent
    std::uint64_t flows_cloud = 0;                            // new flows given to the cloud
    std::array<std::uint64_t, kCloudReasons.size()> cloud{};  // packets given to it
    std::uint64_t served_ms = 0;                              // how long new flows were served here,
    std::uint64_t cloud_ms = 0;                               // went to the cloud,
    std::uint64_t drained_ms = 0;                             // and went there because the operator wished it
    std::uint64_t failovers = 0, failover_us = 0;             // and all times to redirect together
    RoundTrips here;                                          // to the service, by its probe
    RoundTrips away;                                          // to the cloud, by a handshake
    std::uint64_t away_failed = 0;                            // handshakes that did not come about
    bool operator==(const DayFigures&) const = default;
    void add(const DayFigures& other);
    [[nodiscard]] bool empty() const { return *this == DayFigures{}; }
};

/// A day of the router's local calendar, counted from 1970-01-01; 0 is a time without a clock to be trusted.
using Day = std::int32_t;
inline constexpr Day kUndated = 0;
inline constexpr Day kLastDay = 2'932'896;  // 9999-12-31
/// "2026-11-23"; "" for kUndated.
std::string day_text(Day day);
/// Of a date of the proleptic Gregorian calendar.
Day day_of(std::int64_t year, unsigned month, unsigned day);

using DayRows = std::map<std::pair<std::string, Day>, DayFigures>;  // by service and day

inline constexpr Day kDaysKept = 400;
inline constexpr std::size_t kRowsKept = 4096;
/// Drops days before the last kDaysKept, and then the oldest days until there are no more than kRowsKept rows.
void prune(DayRows& rows, Day newest);
/// Adds all of `more`.
void merge(DayRows& rows, const DayRows& more);
/// Moves to `to` what stands on days for which `moves` is true.
template <class Moves>
void move_days(DayRows& rows, Day to, const Moves& moves) {
    for (auto at = rows.begin(); at != rows.end();) {
        if (at->first.second == to || !moves(at->first.second)) {
            ++at;
            continue;
        }
        const auto node = rows.extract(at++);
        rows[{node.key().first, to}].add(node.mapped());
    }
}

}  // namespace viscum
