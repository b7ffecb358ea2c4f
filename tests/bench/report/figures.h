// SPDX-License-Identifier: GPL-2.0-only
// What benchmarks have measured, read back: one file of each (tests/bench/measure), and all of them in one. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/bench/measure/measurements.h"

namespace viscum {

struct Machine {
    std::string processor;
    std::int64_t processors = 0;
    std::string kernel;
    double load = 0;
    std::string date;
};

/// One benchmark's file.
struct Benchmark {
    std::string name;  // lower-case letters, digits and hyphens: it is in names of files and markers
    std::string how;
    bool quick = false;
    std::string axis;  // what `at` counts; may be empty
    Machine machine;
    std::vector<Series> series;
    std::vector<Target> targets;
    std::vector<std::string> notes;

    /// The series' spread, or nothing.
    [[nodiscard]] const Series* find(const std::string& subject, const std::string& figure,
                                     std::optional<double> at) const;
    /// In the order of their first appearance.
    [[nodiscard]] std::vector<std::string> subjects() const;
    [[nodiscard]] std::vector<std::string> figures() const;
    /// The figure's unit, as its first series has it.
    [[nodiscard]] std::string unit_of(const std::string& figure) const;
};

/// Ours, where it is compared with others: such a subject begins with the word "viscum".
bool is_ours(const std::string& subject);

/// "1", "10", "1,000", of a number that counts; others as number_text().
std::string count_text(double value);

/// `kept` is what an earlier call returned (empty: nothing), `fresh` are benchmarks' files, path -> text. Returns all
/// benchmarks in one JSON text, sorted by name: fresh ones replace those that were kept. What is not a benchmark's file
/// is an error that names the path.
Result<std::string> merge_figures(const std::string& kept, const std::map<std::string, std::string>& fresh);

/// Of what merge_figures() returned.
Result<std::vector<Benchmark>> read_figures(const std::string& text);

/// An error that names the benchmarks which ran with --quick.
Status refuse_quick(const std::vector<Benchmark>& all);

}  // namespace viscum
