// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/overload/measure.h"

#include <algorithm>
#include <cmath>

#include "base/event_loop.h"
#include "tests/support/http_client.h"

namespace viscum {
namespace {

double in_ms(std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1e6;
}

/// By nearest rank, of sorted values.
double rank(const std::vector<double>& sorted, double share) {
    const auto nth = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return sorted.empty() ? 0 : sorted[std::max<std::size_t>(nth, 1) - 1];
}

}  // namespace

Measured measure(const NetNs& ns, const Endpoint& to, const std::string& who, std::chrono::milliseconds length) {
    Measured measured;
    std::vector<double> times;
    const BootTime start = boot_now();
    while (boot_now() < start + length) {
        const HttpResult result = http_get(ns, {.to = to});
        if (result.outcome != Outcome::answered) {
            ++measured.failed;
            continue;
        }
        times.push_back(in_ms(result.took));
        measured.others += result.who() == who ? 0U : 1U;
    }
    std::ranges::sort(times);
    measured.answered = times.size();
    measured.per_second = static_cast<double>(times.size()) * 1'000 / in_ms(boot_now() - start);
    measured.p50_ms = rank(times, 0.5);
    measured.p99_ms = rank(times, 0.99);
    return measured;
}

Range range_of(std::vector<double> values) {
    std::ranges::sort(values);
    return values.empty() ? Range{} : Range{values[values.size() / 2], values.front(), values.back()};
}

}  // namespace viscum
