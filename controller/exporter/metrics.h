// SPDX-License-Identifier: GPL-2.0-only
// A report as metrics: OpenMetrics 1.0, or the classic text format of Prometheus. Pure. docs/metrics.md lists them all.
// Labels are names of services, claims, and words of fixed lists: nothing that clients choose.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "controller/exporter/source.h"

namespace viscum {

enum class MetricsFormat { classic, open };

/// What the reader of `accept` wants: OpenMetrics where it names that.
MetricsFormat metrics_format(std::string_view accept);
/// The value of Content-Type.
const char* content_type(MetricsFormat format);

/// Of the exporter itself.
struct ExporterFigures {
    std::uint64_t asked = 0;        // questions to viscumd
    std::uint64_t turned_away = 0;  // connections
    std::uint64_t streams = 0;      // open ones
};

std::string render_metrics(const Snapshot& snapshot, const ExporterFigures& exporter, MetricsFormat format);

enum class MetricKind { gauge, counter, histogram, info };

/// Families and samples in either format. Values are texts: whole numbers, or seconds by seconds_text().
class MetricsText {
public:
    using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

    explicit MetricsText(MetricsFormat format) : open_(format == MetricsFormat::open) {}
    /// `name` is without _total and _info; a name that ends with a unit says so in OpenMetrics.
    void family(std::string_view name, MetricKind kind, std::string_view help);
    /// Of the family begun last. `suffix` is _bucket, _count or _sum of a histogram; counters and infos have theirs.
    void sample(const Labels& labels, std::string_view value, std::string_view suffix = {});
    void sample(const Labels& labels, std::uint64_t value, std::string_view suffix = {});
    [[nodiscard]] std::string text() &&;

private:
    bool open_;
    MetricKind kind_ = MetricKind::gauge;
    std::string name_;
    std::string text_;
};

/// "12.345678" for 12,345,678 microseconds; "12.0" for whole seconds.
std::string seconds_text(std::uint64_t microseconds);

}  // namespace viscum
