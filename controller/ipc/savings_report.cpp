// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/savings_report.h"

#include "controller/ipc/json.h"

namespace viscum {

// Not in an unnamed namespace: the templates of json.h find them by argument-dependent lookup.
void fields(auto& io, FieldsOf<ReasonCount> auto& count) {
    io.field("reason", count.reason);
    io.field("packets", count.packets);
}

void fields(auto& io, FieldsOf<SavingsRow> auto& row) {
    io.field("service", row.service);
    io.field("day", row.day);
    io.field("flows", row.flows);
    io.field("bytes_in", row.bytes_in);
    io.field("bytes_out", row.bytes_out);
    io.field("uplink_bytes_in", row.uplink_bytes_in);
    io.field("uplink_bytes_out", row.uplink_bytes_out);
    io.field("kept_bytes", row.kept_bytes);
    io.field("saved", row.saved);
    io.field("flows_cloud", row.flows_cloud);
    io.field("cloud", row.cloud);
    io.field("served_ms", row.served_ms);
    io.field("cloud_ms", row.cloud_ms);
    io.field("drained_ms", row.drained_ms);
    io.field("failovers", row.failovers);
    io.field("failover_us", row.failover_us);
    io.field("here_count", row.here_count);
    io.field("here_min_us", row.here_min_us);
    io.field("here_mean_us", row.here_mean_us);
    io.field("away_count", row.away_count);
    io.field("away_min_us", row.away_min_us);
    io.field("away_mean_us", row.away_mean_us);
    io.field("away_failed", row.away_failed);
}

void fields(auto& io, FieldsOf<SavingsReport> auto& report) {
    io.field("zone", report.zone);
    io.field("today", report.today);
    io.field("days", report.days);
    io.field("cost_per_gb", report.cost_per_gb);
    io.field("rows", report.rows);
    io.field("totals", report.totals);
}

std::string to_json(const SavingsReport& report) {
    JsonOut out;
    fields(out, report);
    return std::move(out).text();
}

std::optional<SavingsReport> savings_report_from_json(const std::string& text) {
    const auto value = parse_json(text);
    if (!value) {
        return std::nullopt;
    }
    JsonIn in(*value);
    SavingsReport report;
    fields(in, report);
    return in.status() ? std::optional(std::move(report)) : std::nullopt;
}

}  // namespace viscum
