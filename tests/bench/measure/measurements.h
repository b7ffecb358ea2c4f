// SPDX-License-Identifier: GPL-2.0-only
// What a benchmark measures, what it is held against, and the file in which both are kept. One shape for all of them:
// tests/bench/report makes docs/benchmarks.md of these files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace viscum {

/// How much is done: everything, for figures; or (--quick) as little as shows that it works, for figures that say
/// nothing.
enum class Scale { full, quick };

struct Spread {
    double median = 0;  // the mean of the two in the middle where the number is even
    double least = 0;
    double most = 0;
};
/// Empty: zeros.
Spread spread_of(std::vector<double> values);

/// The value that `share` (0-1) of the values do not exceed, by nearest rank. Empty: 0.
double percentile(std::vector<double> values, double share);

/// One figure of one subject: a value for each round.
struct Series {
    std::string subject;       // "nft DNAT": a row of the table
    std::string figure;        // "connections/s": a column
    std::string unit;          // "us"; empty: a count or a rate that the figure's name explains
    std::optional<double> at;  // where the subject depends on a number: of rules, of services
    std::vector<double> values;
};

/// What a median, or the median of the rounds' ratios, is to be.
struct Target {
    enum class Bound { at_least, at_most };

    std::string what;  // "requests/s, against the router's own namespace"
    Bound bound;
    double wanted = 0;
    std::string unit{};  // "x" for ratios
    double measured = 0;

    [[nodiscard]] bool met() const { return bound == Bound::at_least ? measured >= wanted : measured <= wanted; }
};

/// All that one benchmark has measured. Figures and subjects are shown in the order of their first appearance.
class Measurements {
public:
    /// `name` is the file's and that of its section in docs/benchmarks.md ("path"); `how` says what was done to whom,
    /// in a sentence or two.
    Measurements(std::string name, std::string how, Scale scale);

    void add(std::string_view subject, std::string_view figure, std::string_view unit, double value,
             std::optional<double> at = std::nullopt);
    /// What the numbers `at` count: "rules".
    void axis(std::string what) { axis_ = std::move(what); }
    /// What a reader must know: a peer that is missing, what was counted beside.
    void note(std::string text);
    /// To be held against `wanted`: the figure's median. A figure that was not measured ends the benchmark: a target
    /// that is only misspelt would be met for ever.
    void expect(Target::Bound bound, std::string_view subject, std::string_view figure, double wanted,
                std::optional<double> at = std::nullopt);
    /// The same of the median of the rounds' ratios: subject to peer, each of one round. Without such a peer: nothing;
    /// without such a subject it ends as well.
    void expect_ratio(Target::Bound bound, std::string_view subject, std::string_view peer, std::string_view figure,
                      double wanted, std::optional<double> at = std::nullopt);
    /// For what is neither: the benchmark has the value.
    void expect(Target target) { targets_.push_back(std::move(target)); }

    [[nodiscard]] const Series* find(std::string_view subject, std::string_view figure,
                                     std::optional<double> at = std::nullopt) const;
    [[nodiscard]] Scale scale() const { return scale_; }
    [[nodiscard]] const std::vector<Target>& targets() const { return targets_; }

    /// What finish() writes.
    [[nodiscard]] std::string json() const;
    /// Prints tables and targets, and writes BUILD/bench/NAME.json.
    [[nodiscard]] Status finish() const;

private:
    [[nodiscard]] const Series& measured(std::string_view subject, std::string_view figure,
                                         std::optional<double> at) const;
    void print() const;

    std::string name_;
    std::string how_;
    std::string axis_;
    Scale scale_;
    std::vector<Series> series_;
    std::vector<Target> targets_;
    std::vector<std::string> notes_;
};

/// Three significant digits, whole numbers in full, thousands apart: "17,412", "31.2", "0.97".
std::string number_text(double value);

/// --quick or nothing; anything else ends the program with 2.
Scale scale_of(int argc, char** argv);

}  // namespace viscum
