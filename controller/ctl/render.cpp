// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/render.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"

namespace viscum {
namespace {

// "1.2", "12", "345" of a unit that is `scale`.
std::string scaled(std::uint64_t value, std::uint64_t scale) {
    const std::uint64_t whole = value / scale;
    const std::uint64_t tenth = value % scale / (scale / 10);
    return whole < 10 ? cat(whole, '.', tenth) : std::to_string(whole);
}

enum class Tone { plain, good, fair, bad, strong };

std::string paint(std::string_view text, Tone tone, bool colour) {
    constexpr std::array<const char*, 5> kCodes{"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1m"};
    if (!colour || tone == Tone::plain) {
        return std::string(text);
    }
    return cat(kCodes[static_cast<std::size_t>(tone)], text, "\x1b[0m");
}

Tone tone_of(std::string_view word) {
    static const std::map<std::string_view, Tone> kTones{
        {"up", Tone::good},       {"healthy", Tone::good},  {"serve", Tone::good},   {"preparing", Tone::fair},
        {"starting", Tone::fair}, {"stopping", Tone::fair}, {"backoff", Tone::fair}, {"drain", Tone::fair},
        {"failed", Tone::bad},    {"unhealthy", Tone::bad}, {"down", Tone::bad},     {"off", Tone::bad}};
    const auto found = kTones.find(word);
    return found == kTones.end() ? Tone::plain : found->second;
}

bool continues_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return !continues_character(byte); }));
}

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

std::string counted(std::uint64_t count, std::string_view one, std::string_view more) {
    return cat(human_count(count), " ", count == 1 ? one : more);
}

// "  NAME      TEXT"
std::string fact(std::string_view name, std::string_view text) {
    constexpr std::size_t kColumn = 11;
    return cat("  ", name, std::string(kColumn - std::min(kColumn - 1, name.size()), ' '), text, "\n");
}

// "12 no-listener, 3 draining", in lines of at most 80 columns under one fact's name.
std::string counts_fact(std::string_view name, const std::vector<ReasonCount>& counts, std::string_view unit) {
    constexpr std::size_t kColumns = 80 - 13;
    std::string out;
    std::string line;
    for (const auto& count : counts) {
        if (count.packets == 0) {
            continue;
        }
        const std::string item = cat(human_count(count.packets), " ", printable(count.reason));
        if (!line.empty() && line.size() + item.size() + 3 > kColumns) {
            out += fact(out.empty() ? name : "", line + ",");
            line.clear();
        }
        line += line.empty() ? item : ", " + item;
    }
    if (line.empty()) {
        return "";
    }
    return out + fact(out.empty() ? name : "", line + std::string(unit));
}

std::string why_not(const ServiceReport& service) {
    if (!service.reason.empty()) {
        return printable(service.reason);
    }
    return service.drained ? "drained by the operator" : "";
}

std::string render_lan(const std::vector<LanReport>& lan, bool colour) {
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
        line += ": ";
        line += device.attached
                    ? paint("attached", Tone::good, colour)
                    : paint(device.problem.empty() ? "not attached" : cat("not attached: ", printable(device.problem)),
                            Tone::bad, colour);
        out += fact(out.empty() ? "lan" : "", line);
    }
    return out;
}

std::string render_lease(std::int64_t left, bool colour) {
    if (left < 0) {
        return "off";
    }
    return left == 0 ? paint("expired: new flows go to the cloud", Tone::bad, colour)
                     : cat(human_time(std::chrono::milliseconds(left)), " left");
}

std::string remark_on(const ClaimReport& claim) {
    if (claim.flows != 0 || claim.packets_in != 0 || claim.admission != "serve") {
        return "";
    }
    if (claim.flows_cloud != 0 || !claim.cloud.empty()) {
        return "has served nothing: all that came for it went to the cloud";
    }
    return "has served nothing: no client has asked for it on a LAN device";
}

std::string render_claim(const ClaimReport& claim, bool colour) {
    std::string out = cat(paint(printable(claim.claim), Tone::strong, colour), "  ",
                          paint(claim.admission, tone_of(claim.admission), colour), "\n");
    out += fact("flows", cat(human_count(claim.flows), " served, ", human_count(claim.flows_cloud), " to the cloud"));
    if (claim.packets_in != 0 || claim.packets_out != 0) {
        out += fact("traffic",
                    cat(human_bytes(claim.bytes_in), " in (", counted(claim.packets_in, "packet", "packets"), "), ",
                        human_bytes(claim.bytes_out), " out (", counted(claim.packets_out, "packet", "packets"), ")"));
    }
    out += counts_fact("to cloud", claim.cloud, " (packets)");
    if (const auto remark = remark_on(claim); !remark.empty()) {
        out += fact("remark", paint(remark, Tone::fair, colour));
    }
    return out;
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array<const char*, 5> kUnits{"kB", "MB", "GB", "TB", "PB"};
    if (bytes < 1000) {
        return cat(bytes, " B");
    }
    std::uint64_t scale = 1000;
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && bytes / scale >= 1000) {
        scale *= 1000;
        ++unit;
    }
    return cat(scaled(bytes, scale), " ", kUnits[unit]);
}

std::string human_count(std::uint64_t count) {
    constexpr std::array<char, 5> kUnits{'k', 'M', 'G', 'T', 'P'};
    if (count < 10'000) {
        return std::to_string(count);
    }
    std::uint64_t scale = 1000;
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && count / scale >= 1000) {
        scale *= 1000;
        ++unit;
    }
    return scaled(count, scale) + kUnits[unit];
}

std::string human_time(std::chrono::milliseconds time) {
    const auto millis = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
    const std::uint64_t seconds = millis / 1000;
    if (seconds == 0) {
        return cat(millis, "ms");
    }
    if (seconds < 60) {
        return cat(seconds, "s");
    }
    if (seconds < 3600) {
        return cat(seconds / 60, "m ", seconds % 60, "s");
    }
    if (seconds < 86'400) {
        return cat(seconds / 3600, "h ", seconds % 3600 / 60, "m");
    }
    return cat(seconds / 86'400, "d ", seconds % 86'400 / 3600, "h");
}

std::string printable(std::string_view text) {
    std::string out(text);
    unsigned char before = 0;
    for (char& byte : out) {
        const auto code = static_cast<unsigned char>(byte);
        if (byte == '\n' || byte == '\t') {
            byte = ' ';
        } else if (code < 0x20 || code == 0x7f || (before == 0xc2 && code < 0xa0)) {
            byte = '?';  // U+0080 to U+009F, C2 80 to C2 9F, are control characters as well
        }
        before = code;
    }
    return out;
}

std::string cut_to(std::string_view text, std::size_t columns) {
    std::size_t end = 0;
    for (std::size_t used = 0; end < text.size(); ++end) {
        if (!continues_character(text[end]) && used++ == columns) {
            break;
        }
    }
    return std::string(text.substr(0, end));
}

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
        if (service.updating) {
            notes += cat(printable(service.name), ": updating: the version before finishes its connections\n");
        }
    }
    return render_table(rows, 4, colour) + (notes.empty() ? "" : "\n" + notes);
}

std::string render_daemon(const DaemonReport& report, bool colour) {
    std::string out = cat(paint(cat("viscumd ", printable(report.version)), Tone::strong, colour), ", instance '",
                          printable(report.instance), "', pid ", report.pid, ", grade ", printable(report.grade), "\n");
    out += fact("lease", render_lease(report.lease_ms_left, colour));
    out += render_lan(report.lan, colour);
    Totals sum;
    for (const auto& service : report.services) {
        const Totals one = sum_of(service.claims);
        sum.flows += one.flows;
        sum.flows_cloud += one.flows_cloud;
        sum.bytes_in += one.bytes_in;
        sum.bytes_out += one.bytes_out;
    }
    out += fact("flows", cat(human_count(sum.flows), " served, ", human_count(sum.flows_cloud), " to the cloud"));
    out += fact("traffic", cat(human_bytes(sum.bytes_in), " in, ", human_bytes(sum.bytes_out), " out"));
    out += counts_fact("packets", report.verdicts, "");
    return out + "\n" + render_list(report.services, colour);
}

std::string render_service(const ServiceReport& service, bool colour) {
    const auto word = [colour](const std::string& text) { return paint(printable(text), tone_of(text), colour); };
    std::string out = cat(paint(printable(service.name), Tone::strong, colour), ": ", word(service.state), ", ",
                          word(service.health), ", admission ", word(service.admission), "\n");
    if (const auto why = why_not(service); !why.empty()) {
        out += fact("why", why);
    }
    if (service.updating) {
        out += fact("updating", "the version before finishes its connections");
    }
    if (service.drained) {
        out += fact("hint", cat("viscumctl resume ", printable(service.name), " ends the drain"));
    }
    if (service.up_ms > 0) {
        out += fact("up", human_time(std::chrono::milliseconds(service.up_ms)));
    }
    if (service.pid != 0) {
        out += fact("pid", std::to_string(service.pid));
    }
    out +=
        fact("restarts", service.last_exit.empty() ? std::to_string(service.restarts)
                                                   : cat(service.restarts, "; it last ", printable(service.last_exit)));
    out += fact("namespace", service.namespace_name.empty() ? "-" : printable(service.namespace_name));
    out += fact("link", service.link.empty() ? "-" : printable(service.link));
    out += fact("file", service.digest.empty() ? "-" : printable(service.digest));
    for (const auto& claim : service.claims) {
        out += "\n" + render_claim(claim, colour);
    }
    return out;
}

}  // namespace viscum
