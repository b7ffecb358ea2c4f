// SPDX-License-Identifier: GPL-2.0-only
// Benchmarks in Markdown: conditions, a table of figures, plots, targets, notes. Pure.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/report/figures.h"

namespace viscum {

/// A picture that the section shows: where it is, seen from the document, and what it says to who cannot see it.
struct Picture {
    std::string path;
    std::string text;
};

/// What stands between the benchmark's marks; no newline at its end.
std::string section_of(const Benchmark& benchmark, const std::vector<Picture>& pictures);

/// All targets of all benchmarks, how many are met first.
std::string targets_of(const std::vector<Benchmark>& all);

/// Rows by subject, and where there are such, by `at`; columns by figure: "median (least – most)".
std::string table_of(const Benchmark& benchmark);

}  // namespace viscum
