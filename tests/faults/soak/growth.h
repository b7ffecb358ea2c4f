// SPDX-License-Identifier: GPL-2.0-only
// Whether something grows: figures of the same thing, taken again and again while all is as it should be.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace viscum {

/// "viscumd: RSS in KiB" -> the value now.
using Sample = std::map<std::string, std::uint64_t>;

struct Trend {
    std::string name;
    std::uint64_t early = 0;  // the median of the first third of what is left after a warm-up of a sixth
    std::uint64_t late = 0;   // the median of the last third
};

/// Of everything that each sample has, where there are samples enough.
std::vector<Trend> trends(const std::vector<Sample>& samples);

/// What grows beyond a quarter and `slack(name)`, and what of `wanted` has no trend, a line each.
std::vector<std::string> judge_growth(const std::vector<Trend>& trends, const std::vector<std::string>& wanted = {});

/// Of viscumd (of this pid), viscum-prober and the shims, added up by program: RSS and memory of its own (anonymous,
/// also what is swapped out) in KiB, and descriptors. And how many pins, log bytes and run directories the instance
/// has.
Sample take_sample(int viscumd);

}  // namespace viscum
