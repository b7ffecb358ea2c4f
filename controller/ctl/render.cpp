// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/render.h"

#include <algorithm>

#include "base/text.h"
#include "controller/ctl/paint.h"

namespace viscum {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// The first row is the head. Columns from `numbers` on hold numbers, and are aligned to the right.
std::string render_table(const Rows& rows, std::size_t numbers, bool colour) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            widths[column] = std::max(widths[column], width(row[column]));
        }
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t column = 0; column < row.size(); ++column) {
            const std::string padding(widths[column] - width(row[column]), ' ');
            const Tone tone = &row == &rows.front() ? Tone::strong : column == 0 ? Tone::plain : tone_of(row[column]);
            const std::string cell = paint(row[column], tone, colour);
            line += column == 0 ? "" : "  ";
            line += column >= numbers ? padding + cell : cell + padding;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

struct Totals {
    std::uint64_t flows = 0;
    std::uint64_t flows_cloud = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
};

Totals sum_of(const std::vector<ClaimReport>& claims) {
    Totals sum;
    for (const auto& claim : claims) {
        sum.flows += claim.flows;
        sum.flows_cloud += claim.flows_cloud;
        sum.bytes_in += claim.bytes_in;
        sum.bytes_out += claim.bytes_out;
    }
    return sum;
}

/// Our filter is on a device only while somebody claims something.
std::string render_device(const LanReport& device, bool claimed, bool colour) {
    if (!device.attached && device.problem.empty() && !claimed) {
        return "not attached, as no service claims anything";
    }
    const std::string problem = device.problem.empty() ? "" : cat(": ", printable(device.problem));
    return paint(cat(device.attached ? "attached" : "not attached", problem),
                 device.attached && problem.empty() ? Tone::good : Tone::bad, colour);
}

std::string render_lan(const std::vector<LanReport>& lan, bool claimed, bool colour) {
    if (lan.empty()) {
        return fact("lan", paint("no device matches 'lan:' of the configuration, so nothing is intercepted", Tone::bad,
                                 colour));
    }
    std::string out;
    for (const auto& device : lan) {
        std::string line = printable(device.device);
        if (!device.bridge.empty()) {
            line += cat(", port of ", printable(device.bridge));
        }
        out += fact(out.empty() ? "lan" : "", cat(line, ": ", render_device(device, claimed, colour)));
    }
    return out;
}

std::string render_lease(const DaemonReport& report, bool colour) {
    const std::int64_t left = report.lease_ms_left;
    if (left < 0) {
        return report.grade == "classic" ? "none in this grade" : "off";
    }
    return left == 0 ? paint("expired: new flows go to the cloud", Tone::bad, colour)
                     : cat(human_time(std::chrono::milliseconds(left)), " left");
}

}  // namespace

std::string render_list(const std::vector<ServiceReport>& services, bool colour) {
    if (services.empty()) {
        return "no services; deploy one with: viscumctl deploy FILE\n";
    }
    Rows rows{{"NAME", "STATE", "HEALTH", "ADMISSION", "CLAIMS", "FLOWS", "UPTIME"}};
    std::string notes;
    for (const auto& service : services) {
        rows.push_back({printable(service.name), printable(service.state), printable(service.health),
                        printable(service.admission), std::to_string(service.claims.size()),
                        human_count(sum_of(service.claims).flows),
                        service.up_ms > 0 ? human_time(std::chrono::milliseconds(service.up_ms)) : "-"});
        if (const auto why = why_not(service); !why.empty()) {
            notes += cat(printable(service.name), ": ", why, "\n");
        }
        const auto ended = std::ranges::count_if(service.claims, &ClaimReport::ended);
        if (ended != 0 && service.admission == "serve") {
            notes +=
                cat(printable(service.name), ": ", ended, " of ", counted(service.claims.size(), "claim", "claims"),
                    " ended, which take", ended == 1 ? "s" : "", " no new flows\n");
        }
        if (service.updating) {
            notes += cat(printable(service.name), ": updating: the version before finishes its connections\n");
        }
    }
    return render_table(rows, 4, colour) + (notes.empty() ? "" : "\n" + notes);
}

std::string render_daemon(const DaemonReport& report, bool colour) {
    std::string out = cat(paint(cat("viscumd ", printable(report.version)), Tone::strong, colour), ", instance '",
                          printable(report.instance), "', pid ", report.pid, ", grade ", printable(report.grade), "\n");
    if (!report.grade_reason.empty()) {
        out += fact("grade", cat(printable(report.grade), ": ", printable(report.grade_reason)));
    }
    out += fact("lease", render_lease(report, colour));
    out += render_lan(report.lan, claims_anything(report), colour);
    Totals sum;
    for (const auto& service : report.services) {
        const Totals one = sum_of(service.claims);
        sum.flows += one.flows;
        sum.flows_cloud += one.flows_cloud;
        sum.bytes_in += one.bytes_in;
        sum.bytes_out += one.bytes_out;
    }
    out += fact("flows", report.grade == "classic"
                             ? "not counted in this grade"
                             : cat(human_count(sum.flows), " served, ", human_count(sum.flows_cloud), " to the cloud"));
    out += fact("traffic", cat(human_bytes(sum.bytes_in), " in, ", human_bytes(sum.bytes_out), " out"));
    out += counts_fact("packets", report.verdicts, "");
    return out + "\n" + render_list(report.services, colour);
}

}  // namespace viscum
