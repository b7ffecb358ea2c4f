// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/ledger_file.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.h"
#include "controller/spec/names.h"

namespace viscum {
namespace {

constexpr const char* kMagic = "viscum-savings 1 ";
constexpr std::size_t kMaxName = 64;  // of a service, or of a boot

/// The order is that of the file; new ones come last.
void each_figure(auto& figures, const auto& visit) {
    for (auto* number : {&figures.flows, &figures.bytes_in, &figures.bytes_out, &figures.uplink_in, &figures.uplink_out,
                         &figures.flows_cloud}) {
        visit(*number);
    }
    for (auto& packets : figures.cloud) {
        visit(packets);
    }
    for (auto* number : {&figures.served_ms, &figures.cloud_ms, &figures.drained_ms, &figures.failovers,
                         &figures.failover_us, &figures.here.count, &figures.here.least_us, &figures.here.sum_us,
                         &figures.away.count, &figures.away.least_us, &figures.away.sum_us, &figures.away_failed}) {
        visit(*number);
    }
}

void each_number(auto& numbers, const auto& visit) {
    for (auto* number : {&numbers.flows, &numbers.bytes_in, &numbers.bytes_out, &numbers.flows_cloud}) {
        visit(*number);
    }
    for (auto& packets : numbers.cloud) {
        visit(packets);
    }
}

std::string checksum(std::uint64_t sequence, std::string_view body) {
    return hex(fnv1a(cat(sequence, '\n', body)), 16);
}

void append_seen(std::string& body, const LedgerState& state) {
    std::size_t claims = 0;
    bool whole = state.whole;
    for (const auto& [service, seen] : state.seen) {
        for (const auto& [claim, numbers] : seen.claims) {
            if (++claims > kClaimsKept) {
                whole = false;
                break;
            }
            body += cat("claim ", service, ' ', claim);
            each_number(numbers, [&](std::uint64_t number) { body += cat(' ', number); });
            body += '\n';
        }
        for (const auto& [device, numbers] : seen.links) {
            if (++claims > kClaimsKept) {
                whole = false;
                break;
            }
            body += cat("link ", service, ' ', device, ' ', numbers.in, ' ', numbers.out, '\n');
        }
    }
    body += whole ? "" : "partial\n";
}

/// The fields of a line from `first` on, through `visit_all`; false where one is no number or missing.
template <class Values, class Each>
bool read_numbers(const std::vector<std::string>& fields, std::size_t first, Values& values, const Each& each) {
    bool good = true;
    each(values, [&](std::uint64_t& target) {
        const auto number = first < fields.size() ? parse_decimal(fields[first], UINT64_MAX) : std::nullopt;
        ++first;
        good = good && number.has_value();
        target = number.value_or(0);
    });
    return good;
}

void read_line(const std::vector<std::string>& fields, LedgerState& state) {
    const std::string& kind = fields[0];
    if (kind == "partial") {
        state.whole = false;
    }
    if (fields.size() < 2 || fields[1].empty() || fields[1].size() > kMaxName) {
        return;
    }
    const std::string& name = fields[1];
    if (kind == "boot") {
        state.boot = name;
    } else if (kind == "newest") {
        state.newest = static_cast<Day>(parse_decimal(name, kLastDay).value_or(kUndated));
    } else if (!is_service_name(name)) {
        return;
    } else if (kind == "day" && fields.size() > 2) {
        const auto day = parse_decimal(fields[2], kLastDay);
        DayFigures figures;
        const auto each = [](auto& values, const auto& visit) { each_figure(values, visit); };
        if (day && state.rows.size() < kRowsKept && read_numbers(fields, 3, figures, each)) {
            state.rows[{name, static_cast<Day>(*day)}] = figures;
        }
    } else if (kind == "claim" && fields.size() > 2) {
        ClaimNumbers numbers;
        const auto each = [](auto& values, const auto& visit) { each_number(values, visit); };
        if (read_numbers(fields, 3, numbers, each)) {
            state.seen[name].claims[fields[2]] = numbers;
        }
    } else if (kind == "link" && fields.size() > 4) {
        const auto device = parse_decimal(fields[2], UINT32_MAX);
        const auto in = parse_decimal(fields[3], UINT64_MAX);
        const auto out = parse_decimal(fields[4], UINT64_MAX);
        if (device && in && out) {
            state.seen[name].links[static_cast<std::uint32_t>(*device)] = {*in, *out};
        }
    }
}

}  // namespace

std::string encode_ledger(const LedgerState& state) {
    std::string body = cat("boot ", state.boot, "\nnewest ", state.newest, '\n');
    append_seen(body, state);
    for (const auto& [key, figures] : state.rows) {
        body += cat("day ", key.first, ' ', key.second);
        each_figure(figures, [&](std::uint64_t number) { body += cat(' ', number); });
        body += '\n';
    }
    return cat(kMagic, state.sequence, ' ', checksum(state.sequence, body), '\n', body);
}

Result<LedgerState> decode_ledger(const std::string& bytes) {
    const auto end = bytes.find('\n');
    if (!bytes.starts_with(kMagic) || end == std::string::npos) {
        return Error{EBADMSG, "it is no record of savings"};
    }
    const auto words = split(std::string_view(bytes).substr(0, end), ' ');
    const auto body = std::string_view(bytes).substr(end + 1);
    LedgerState state;
    if (words.size() == 4) {
        state.sequence = parse_decimal(words[2], UINT64_MAX - 1).value_or(UINT64_MAX);
    }
    if (words.size() != 4 || state.sequence == UINT64_MAX || words[3] != checksum(state.sequence, body)) {
        return Error{EBADMSG, "its checksum does not hold"};
    }
    for (std::size_t at = 0; at < body.size();) {
        const auto line = body.substr(at, body.find('\n', at) - at);
        at += line.size() + 1;
        read_line(split(line, ' '), state);
    }
    return state;
}

}  // namespace viscum
