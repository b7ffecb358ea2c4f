// SPDX-License-Identifier: GPL-2.0-only
// The FLOW oracle: a client without pause, in a thread of its own. Every connection must be answered, by the local
// service or by the cloud, and none may be reset.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/http_client.h"

namespace viscum {

struct FlowRecord {
    std::chrono::nanoseconds start{};  // CLOCK_BOOTTIME
    std::chrono::nanoseconds end{};
    Outcome outcome = Outcome::failed;
    std::string who;  // "local", "cloud", or what happened
    std::string error;
};

struct FlowSummary {
    std::size_t requests = 0;
    std::size_t local = 0;
    std::size_t cloud = 0;
    std::size_t resets = 0;                  // a connection that was open and was reset, or ended early
    std::size_t failed = 0;                  // no answer for any other reason
    bool ended_early = false;                // it had made all its connections before stop()
    std::chrono::nanoseconds longest_gap{};  // without an answer's end
    std::vector<std::string> failures;       // the first 10, with their times since the start

    /// "1234 requests: 1200 local, 34 cloud, 0 failed, 0 resets, longest gap 3.1 ms"
    [[nodiscard]] std::string text() const;
};

class FlowClient {
public:
    struct Options {
        HttpRequest request;
        std::chrono::microseconds pause{0};  // between two connections
        std::size_t most = 200'000;          // connections; with the last it ends, which stop() tells
    };
    /// `ns` must outlive this object.
    FlowClient(const NetNs& ns, const Options& options);
    ~FlowClient() = default;

    /// Ends it after the connection under way.
    FlowSummary stop();
    /// Waits for a connection that began after `since` (CLOCK_BOOTTIME) and was answered by `who`.
    [[nodiscard]] std::optional<FlowRecord> wait_for(const std::string& who, std::chrono::nanoseconds since,
                                                     std::chrono::milliseconds limit) const;
    /// Of all connections that have ended.
    [[nodiscard]] std::vector<FlowRecord> records() const;

private:
    void work(const NetNs& ns, const Options& options, const std::stop_token& stopped);

    std::size_t most_;
    mutable std::mutex mutex_;
    mutable std::condition_variable_any news_;
    std::vector<FlowRecord> records_;
    std::jthread thread_;  // last: it uses the others
};

FlowSummary summarize(const std::vector<FlowRecord>& records);

}  // namespace viscum
