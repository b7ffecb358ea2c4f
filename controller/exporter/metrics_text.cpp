// SPDX-License-Identifier: GPL-2.0-only
#include <array>

#include "base/text.h"
#include "controller/exporter/metrics.h"

namespace viscum {
namespace {

constexpr std::array<std::string_view, 2> kUnits{"seconds", "bytes"};

std::string_view unit_of(std::string_view name) {
    for (const auto unit : kUnits) {
        if (name.ends_with(unit) && name.size() > unit.size() && name[name.size() - unit.size() - 1] == '_') {
            return unit;
        }
    }
    return {};
}

const char* kind_name(MetricKind kind, bool open) {
    switch (kind) {
        case MetricKind::gauge: return "gauge";
        case MetricKind::counter: return "counter";
        case MetricKind::histogram: return "histogram";
        case MetricKind::info: return open ? "info" : "gauge";
    }
    return "unknown";
}

std::string_view suffix_of(MetricKind kind) {
    return kind == MetricKind::counter ? "_total" : kind == MetricKind::info ? "_info" : "";
}

/// Both formats escape these three alone. A byte that is no UTF-8 never gets here: json.h replaced it.
void append_escaped(std::string& out, std::string_view value) {
    for (const char letter : value) {
        switch (letter) {
            case '\\': out += "\\\\"; break;
            case '"': out += "\\\""; break;
            case '\n': out += "\\n"; break;
            default: out += letter;
        }
    }
}

}  // namespace

MetricsFormat metrics_format(std::string_view accept) {
    constexpr std::string_view kOpen = "application/openmetrics-text";
    for (const auto& part : split(accept, ',')) {
        const auto found = part.find(kOpen);
        if (found != std::string::npos && part.find("q=0.0") == std::string::npos && !part.ends_with("q=0")) {
            return MetricsFormat::open;
        }
    }
    return MetricsFormat::classic;
}

const char* content_type(MetricsFormat format) {
    return format == MetricsFormat::open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
}

void MetricsText::family(std::string_view name, MetricKind kind, std::string_view help) {
    name_ = name;
    kind_ = kind;
    const std::string shown = open_ ? std::string(name) : cat(name, suffix_of(kind));
    text_ += cat("# HELP ", shown, ' ', help, "\n# TYPE ", shown, ' ', kind_name(kind, open_), '\n');
    if (const auto unit = unit_of(name); open_ && !unit.empty()) {
        text_ += cat("# UNIT ", shown, ' ', unit, '\n');
    }
}

void MetricsText::sample(const Labels& labels, std::string_view value, std::string_view suffix) {
    text_ += cat(name_, suffix.empty() ? suffix_of(kind_) : suffix);
    char separator = '{';
    for (const auto& [name, label] : labels) {
        text_ += cat(separator, name, "=\"");
        append_escaped(text_, label);
        text_ += '"';
        separator = ',';
    }
    text_ += cat(separator == ',' ? "} " : " ", value, '\n');
}

void MetricsText::sample(const Labels& labels, std::uint64_t value, std::string_view suffix) {
    sample(labels, std::string_view(std::to_string(value)), suffix);
}

std::string MetricsText::text() && {
    return open_ ? std::move(text_) + "# EOF\n" : std::move(text_);
}

std::string seconds_text(std::uint64_t microseconds) {
    constexpr std::uint64_t kSecond = 1'000'000;
    const std::string fraction = std::to_string(microseconds % kSecond + kSecond).substr(1);
    const auto last = fraction.find_last_not_of('0');
    return cat(microseconds / kSecond, '.', last == std::string::npos ? "0" : fraction.substr(0, last + 1));
}

}  // namespace viscum
