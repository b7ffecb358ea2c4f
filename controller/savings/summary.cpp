// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/summary.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::uint64_t kGigabyte = 1'000'000'000;

/// a - b, as far as it fits.
std::int64_t difference(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t size = std::min<std::uint64_t>(a > b ? a - b : b - a, INT64_MAX);
    return a > b ? static_cast<std::int64_t>(size) : -static_cast<std::int64_t>(size);
}

void put_round_trips(const RoundTrips& from, std::uint64_t& count, std::int64_t& least, std::int64_t& mean) {
    count = from.count;
    if (from.count != 0) {
        least = difference(from.least_us, 0);
        mean = difference(from.mean_us(), 0);
    }
}

SavingsRow row_of(const std::string& service, Day day, const DayFigures& figures, const std::optional<Price>& price) {
    SavingsRow row;
    row.service = service;
    row.day = day_text(day);
    row.flows = figures.flows;
    row.bytes_in = figures.bytes_in;
    row.bytes_out = figures.bytes_out;
    row.uplink_bytes_in = figures.uplink_in;
    row.uplink_bytes_out = figures.uplink_out;
    row.kept_bytes =
        difference(add_up(figures.bytes_in, figures.bytes_out), add_up(figures.uplink_in, figures.uplink_out));
    row.saved = price ? money(row.kept_bytes, *price) : "";
    row.flows_cloud = figures.flows_cloud;
    for (std::size_t reason = 0; reason < kCloudReasons.size(); ++reason) {
        if (figures.cloud.at(reason) != 0) {
            row.cloud.push_back({kCloudReasons.at(reason), figures.cloud.at(reason)});
        }
    }
    row.served_ms = figures.served_ms;
    row.cloud_ms = figures.cloud_ms;
    row.drained_ms = figures.drained_ms;
    row.failovers = figures.failovers;
    row.failover_us = figures.failover_us;
    put_round_trips(figures.here, row.here_count, row.here_min_us, row.here_mean_us);
    put_round_trips(figures.away, row.away_count, row.away_min_us, row.away_mean_us);
    row.away_failed = figures.away_failed;
    return row;
}

}  // namespace

std::string money(std::int64_t bytes, const Price& price) {
    const bool costs = bytes < 0;
    const auto size = costs ? std::uint64_t{0} - static_cast<std::uint64_t>(bytes) : static_cast<std::uint64_t>(bytes);
    // At most 9.3e9 and 1e9 times 1e8: both fit.
    const std::uint64_t parts =
        size / kGigabyte * price.parts + (size % kGigabyte * price.parts + kGigabyte / 2) / kGigabyte;
    return cat(costs && parts != 0 ? "-" : "", parts / Price::kUnit, '.',
               std::to_string(Price::kUnit + parts % Price::kUnit).substr(1));
}

Result<SavingsReport> summarize(const DayRows& rows, const SavingsQuestion& question) {
    SavingsReport out;
    out.zone = question.zone;
    out.today = day_text(question.today);
    out.days = question.days;
    out.cost_per_gb = question.price ? question.price->text() : "";
    const auto oldest = static_cast<std::int64_t>(question.today) - static_cast<std::int64_t>(question.days);
    DayFigures sum;
    std::map<std::string, DayFigures> sums;
    for (const auto& [key, figures] : rows) {
        const auto& [service, day] = key;
        const bool asked = question.service.empty() || question.service == service;
        if (!asked || (day != kUndated && day <= oldest)) {
            continue;
        }
        out.rows.push_back(row_of(service, day, figures, question.price));
        sums[service].add(figures);
        sum.add(figures);
    }
    for (const auto& [service, figures] : sums) {
        out.totals.push_back(row_of(service, kUndated, figures, question.price));
    }
    out.totals.push_back(row_of("", kUndated, sum, question.price));
    if (out.rows.size() + out.totals.size() > kRowsAnswered) {
        return Error{EMSGSIZE, cat(out.rows.size(), " days of ", sums.size(), " services are too much for one answer")};
    }
    return out;
}

}  // namespace viscum
