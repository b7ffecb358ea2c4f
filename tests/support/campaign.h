// SPDX-License-Identifier: GPL-2.0-only
// What tests that draw lots, or count how often something held, have in common: how much they do, what they draw from,
// and where their figures go, of which docs/reliability.md is made (tests/faults/report).
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace viscum {

/// A sample, as in every run of the tests, or everything: VISCUM_FAULTS=full (make faults).
enum class Effort { sample, full };
Effort effort();

/// VISCUM_TEST_SEED, to repeat a run; otherwise another number each time, the same for the life of the process. The
/// test says it (MESSAGE).
std::uint32_t campaign_seed();

/// Seconds of a soak: VISCUM_SOAK_SECONDS, else `usual`.
int soak_seconds(int usual);

/// `count` of the numbers below `total`, each once, in ascending order; all of them where `count` is no smaller.
std::vector<std::size_t> draw(std::size_t total, std::size_t count, std::mt19937& dice);

struct Figures {
    std::string part;    // a file name, "kill-points-deploy": a later record of the same part replaces it
    std::string title;   // the row's heading
    std::string repeat;  // the command that repeats it, with its seed
    std::vector<std::pair<std::string, std::string>> values;  // in the order in which they are shown
};

/// Writes BUILD/figures/PART.json, with the effort and the seed.
Status record(const Figures& figures);

/// The median and the 99th percentile of samples, by nearest rank; "1.2 / 3.4 ms". Empty: "none".
std::string p50_p99_ms(std::vector<double> milliseconds);

}  // namespace viscum
