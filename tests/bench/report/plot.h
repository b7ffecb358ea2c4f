// SPDX-License-Identifier: GPL-2.0-only
// Plots of a benchmark, as scripts for gnuplot, which writes SVG on its standard output. Pure: the same figures give
// the same script.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/report/figures.h"

namespace viscum {

struct Plot {
    std::string file;    // "packet-ipv4.svg"
    std::string text;    // what it shows, in a sentence
    std::string script;  // for gnuplot's standard input
};

/// For every figure: lines over `at` (log) where its series have such; else bars, where several subjects share it.
/// Whiskers reach from the least to the most. Ours is of a strong colour, the others are grey.
std::vector<Plot> plots_of(const Benchmark& benchmark);

/// "New connections/s" -> "new-connections-s".
std::string slug(const std::string& text);

/// Round numbers from 0 to `most` (above 0), at most six.
std::vector<double> ticks_to(double most);

}  // namespace viscum
