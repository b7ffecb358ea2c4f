// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/overload/measure.h"

#include "base/event_loop.h"
#include "tests/bench/measure/measurements.h"

namespace viscum {
namespace {

double in_ms(std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1e6;
}

}  // namespace

Measured measure(const NetNs& ns, const HttpRequest& request, const std::string& who,
                 std::chrono::milliseconds length) {
    Measured measured;
    std::vector<double> times;
    const BootTime start = boot_now();
    while (boot_now() < start + length) {
        const HttpResult result = http_get(ns, request);
        if (result.outcome != Outcome::answered) {
            ++measured.failed;
            continue;
        }
        times.push_back(in_ms(result.took));
        measured.others += result.who() == who ? 0U : 1U;
    }
    measured.answered = times.size();
    measured.per_second = static_cast<double>(times.size()) * 1'000 / in_ms(boot_now() - start);
    measured.p50_ms = percentile(times, 0.5);
    measured.p99_ms = percentile(times, 0.99);
    return measured;
}

}  // namespace viscum
