// SPDX-License-Identifier: GPL-2.0-only
// What services saved, for people and as CSV.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "controller/ctl/paint.h"
#include "controller/ctl/render.h"
#include "controller/ctl/savings.h"

namespace viscum {
namespace {

constexpr const char* kNoDay = "no date";

std::uint64_t add_saturated(std::uint64_t a, std::uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

std::string signed_bytes(std::int64_t bytes) {
    return bytes < 0 ? "-" + human_bytes(std::uint64_t{0} - static_cast<std::uint64_t>(bytes))
                     : human_bytes(static_cast<std::uint64_t>(bytes));
}

/// "0.31", "24": milliseconds in two or three digits; "-" for none.
std::string millis_text(std::int64_t us) {
    if (us < 0) {
        return "-";
    }
    if (us >= 10'000) {
        return std::to_string((us + 500) / 1'000);
    }
    const std::int64_t hundredths = (us + 5) / 10;
    return cat(hundredths / 100, '.', hundredths % 100 < 10 ? "0" : "", hundredths % 100);
}

/// Amounts have four decimals, of which people want two.
std::string amount(const std::string& saved) {
    return saved.size() > 2 ? saved.substr(0, saved.size() - 2) : "-";
}

std::string currency_of(const SavingsReport& report) {
    const auto blank = report.cost_per_gb.find(' ');
    return blank == std::string::npos ? "SAVED" : printable(report.cost_per_gb.substr(blank + 1));
}

std::string gone_text(const SavingsRow& row) {
    if (row.failovers == 0 && row.cloud_ms == 0) {
        return "-";
    }
    return cat(row.failovers, " ", human_time(std::chrono::milliseconds(row.cloud_ms)));
}

constexpr std::array<std::size_t, 8> kWidths{10, 6, 7, 7, 6, 12, 10, 8};

std::string line_of(const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t column = 0; column < cells.size(); ++column) {
        const std::string padding(kWidths.at(column) - std::min(kWidths.at(column), width(cells[column])), ' ');
        line += column == 0 ? "" : "  ";
        line += column == 0 ? cells[column] + padding : padding + cells[column];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

std::string render_row(const std::string& first, const SavingsRow& row, bool priced) {
    std::vector<std::string> cells{first,
                                   human_count(row.flows),
                                   human_bytes(add_saturated(row.bytes_in, row.bytes_out)),
                                   signed_bytes(row.kept_bytes),
                                   human_count(row.flows_cloud),
                                   gone_text(row),
                                   cat(millis_text(row.here_mean_us), "/", millis_text(row.away_mean_us))};
    if (priced) {
        cells.push_back(amount(row.saved));
    }
    return line_of(cells);
}

/// What the table has no room for.
std::string render_more(const SavingsRow& total) {
    std::string out = fact("served", cat(human_bytes(total.bytes_in), " from clients, ", human_bytes(total.bytes_out),
                                         " to them, in ", human_time(std::chrono::milliseconds(total.served_ms))));
    if (total.uplink_bytes_in != 0 || total.uplink_bytes_out != 0) {
        out += fact("uplink", cat(human_bytes(total.uplink_bytes_in), " fetched and ",
                                  human_bytes(total.uplink_bytes_out), " sent by the service itself"));
    }
    out += counts_fact("cloud", total.cloud, " (packets)");
    if (total.drained_ms != 0) {
        out += fact("drained", cat("for ", human_time(std::chrono::milliseconds(total.drained_ms))));
    }
    if (total.failovers != 0) {
        const auto mean = static_cast<std::int64_t>(total.failover_us / total.failovers);
        out += fact("redirect", cat(millis_text(mean), " ms from the first sign to the cloud, on average"));
    }
    if (total.away_failed != 0) {
        out += fact("away", cat(total.away_failed, " of ", add_saturated(total.away_count, total.away_failed),
                                " handshakes with the cloud failed"));
    }
    return out;
}

/// A field that may hold a comma or quotes is quoted (RFC 4180, 2).
std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) {
        return text;
    }
    std::string out = "\"";
    for (const char c : text) {
        out += c == '"' ? "\"\"" : std::string(1, c);
    }
    return out + '"';
}

std::string round_trip(std::int64_t us) {
    return us < 0 ? "" : std::to_string(us);
}

constexpr std::array kReasons{"no-listener", "draining", "not-admitted", "lease-expired", "cloud-flow", "other"};

std::string packets_of(const SavingsRow& row, std::string_view reason) {
    const auto found =
        std::find_if(row.cloud.begin(), row.cloud.end(), [&](const auto& count) { return count.reason == reason; });
    return std::to_string(found == row.cloud.end() ? 0 : found->packets);
}

}  // namespace

std::string render_savings(const SavingsReport& report, bool colour) {
    if (report.rows.empty()) {
        return cat("nothing was counted in ", counted(report.days, "day", "days"), "\n");
    }
    const bool priced = !report.cost_per_gb.empty();
    std::vector<std::string> head{"DAY", "FLOWS", "SERVED", "KEPT", "CLOUD", "FAIL-OVERS", "HERE/AWAY"};
    if (priced) {
        head.push_back(currency_of(report));
    }
    std::string out;
    const auto block = [&](const std::string& title) {
        out += out.empty() ? "" : "\n";
        out += paint(title, Tone::strong, colour) + "\n";
    };
    for (const auto& total : report.totals) {
        if (total.service.empty()) {
            continue;
        }
        block(cat(printable(total.service), ", ", counted(report.days, "day", "days"), " (", printable(report.zone),
                  ")"));
        out += line_of(head);
        for (const auto& row : report.rows) {
            if (row.service == total.service) {
                out += render_row(row.day.empty() ? kNoDay : printable(row.day), row, priced);
            }
        }
        out += render_row("total", total, priced) + render_more(total);
    }
    if (report.totals.size() > 2) {
        block("all services");
        out += line_of(head) + render_row("total", report.totals.back(), priced);
    }
    return out;
}

std::string csv_of(const SavingsReport& report) {
    const auto record = [](const std::vector<std::string>& cells) { return join(cells, ",") + "\r\n"; };
    std::vector<std::string> head{
        "service",          "day",        "flows", "bytes_in",   "bytes_out", "uplink_bytes_in",
        "uplink_bytes_out", "kept_bytes", "saved", "flows_cloud"};
    for (std::string reason : kReasons) {
        std::replace(reason.begin(), reason.end(), '-', '_');
        head.push_back("cloud_" + reason);
    }
    for (const char* name :
         {"served_ms", "cloud_ms", "drained_ms", "failovers", "failover_us", "here_count", "here_min_us",
          "here_mean_us", "away_count", "away_min_us", "away_mean_us", "away_failed"}) {
        head.emplace_back(name);
    }
    std::string out = record(head);
    for (const auto& row : report.rows) {
        std::vector<std::string> cells{csv_field(row.service), csv_field(row.day)};
        for (const auto number : {row.flows, row.bytes_in, row.bytes_out, row.uplink_bytes_in, row.uplink_bytes_out}) {
            cells.push_back(std::to_string(number));
        }
        cells.insert(cells.end(),
                     {std::to_string(row.kept_bytes), csv_field(row.saved), std::to_string(row.flows_cloud)});
        for (const auto* reason : kReasons) {
            cells.push_back(packets_of(row, reason));
        }
        for (const auto number : {row.served_ms, row.cloud_ms, row.drained_ms, row.failovers, row.failover_us}) {
            cells.push_back(std::to_string(number));
        }
        cells.insert(cells.end(),
                     {std::to_string(row.here_count), round_trip(row.here_min_us), round_trip(row.here_mean_us),
                      std::to_string(row.away_count), round_trip(row.away_min_us), round_trip(row.away_mean_us),
                      std::to_string(row.away_failed)});
        out += record(cells);
    }
    return out;
}

}  // namespace viscum
