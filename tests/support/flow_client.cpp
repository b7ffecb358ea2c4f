// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/flow_client.h"

#include <algorithm>

#include "base/event_loop.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kShownFailures = 10;

std::string in_ms(std::chrono::nanoseconds duration) {
    const auto tenths = std::chrono::duration_cast<std::chrono::microseconds>(duration).count() / 100;
    return cat(tenths / 10, ".", tenths % 10, " ms");
}

}  // namespace

FlowClient::FlowClient(const NetNs& ns, const Options& options)
    : most_(options.most),
      thread_([this, &ns, options](const std::stop_token& stopped) { work(ns, options, stopped); }) {}

void FlowClient::work(const NetNs& ns, const Options& options, const std::stop_token& stopped) {
    for (std::size_t count = 0; count < options.most && !stopped.stop_requested(); ++count) {
        FlowRecord record;
        record.start = boot_now();
        const HttpResult result = http_get(ns, options.request);
        record.end = boot_now();
        record.outcome = result.outcome;
        record.who = result.who();
        record.error = result.error;
        {
            const std::lock_guard lock(mutex_);
            records_.push_back(std::move(record));
        }
        news_.notify_all();
        if (options.pause.count() > 0) {
            std::this_thread::sleep_for(options.pause);
        }
    }
}

FlowSummary FlowClient::stop() {
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
    FlowSummary summary = summarize(records_);
    summary.ended_early = records_.size() >= most_;
    return summary;
}

std::optional<FlowRecord> FlowClient::wait_for(const std::string& who, std::chrono::nanoseconds since,
                                               std::chrono::milliseconds limit) const {
    std::unique_lock lock(mutex_);
    std::size_t seen = 0;
    std::optional<FlowRecord> found;
    news_.wait_for(lock, limit, [&] {
        for (; seen < records_.size() && !found; ++seen) {
            if (records_[seen].start >= since && records_[seen].who == who) {
                found = records_[seen];
            }
        }
        return found.has_value();
    });
    return found;
}

std::vector<FlowRecord> FlowClient::records() const {
    const std::lock_guard lock(mutex_);
    return records_;
}

FlowSummary summarize(const std::vector<FlowRecord>& records) {
    FlowSummary summary;
    summary.requests = records.size();
    if (records.empty()) {
        return summary;
    }
    const auto start = records.front().start;
    auto last_answer = start;
    for (const FlowRecord& record : records) {
        if (record.outcome == Outcome::answered) {
            summary.local += record.who == "local" ? 1U : 0U;
            summary.cloud += record.who == "cloud" ? 1U : 0U;
            summary.longest_gap = std::max(summary.longest_gap, record.end - last_answer);
            last_answer = record.end;
            continue;
        }
        const bool was_open = record.outcome == Outcome::reset || record.outcome == Outcome::closed;
        (was_open ? summary.resets : summary.failed) += 1;
        if (summary.failures.size() < kShownFailures) {
            summary.failures.push_back(cat(in_ms(record.start - start), ": ", record.who, " (", record.error, ")"));
        }
    }
    summary.longest_gap = std::max(summary.longest_gap, records.back().end - last_answer);
    return summary;
}

std::string FlowSummary::text() const {
    std::string text = cat(requests, " requests: ", local, " local, ", cloud, " cloud, ", failed, " failed, ", resets,
                           " resets, longest gap ", in_ms(longest_gap), ended_early ? ", ended early" : "");
    for (const std::string& failure : failures) {
        text += cat("\n  ", failure);
    }
    return text;
}

}  // namespace viscum
