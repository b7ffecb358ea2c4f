// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/report/section.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace viscum {
namespace {

constexpr const char* kQuick = "**A quick run, which shows that it works: its figures say nothing.**";

/// In a table's cell.
std::string cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
        text.insert(at, 1, '\\');
    }
    std::ranges::replace(text, '\n', ' ');
    return text;
}

std::string row_of(const std::vector<std::string>& cells) {
    return cat("| ", join(cells, " | "), " |\n");
}

std::string with_unit(const std::string& number, const std::string& unit) {
    return unit.empty() ? number : cat(number, " ", unit);
}

std::string spread_text(const Spread& spread) {
    const std::string least = number_text(spread.least);
    const std::string most = number_text(spread.most);
    const std::string median = number_text(spread.median);
    return least == most ? median : cat(median, " (", least, " – ", most, ")");
}

std::string rounds_text(const std::vector<Series>& series) {
    std::set<std::size_t> sizes;
    for (const Series& one : series) {
        sizes.insert(one.values.size());
    }
    if (sizes.empty() || *sizes.rbegin() == 1) {
        return "";
    }
    const std::string most = std::to_string(*sizes.rbegin());
    return cat(" Medians (least – most) of ",
               sizes.size() == 1 ? most : cat(std::to_string(*sizes.begin()), " to ", most), " rounds.");
}

std::string conditions_of(const Benchmark& benchmark) {
    const Machine& on = benchmark.machine;
    // What a distribution adds to the version says little to others.
    const std::string kernel = on.kernel.substr(0, on.kernel.find('-'));
    return cat("*", on.processor, ", ", on.processors, " processors, Linux ", kernel, ", ", on.date, ", load ",
               number_text(on.load), ".", rounds_text(benchmark.series), "*");
}

std::vector<std::string> target_cells(const Target& target) {
    return {cell(target.what), with_unit(number_text(target.measured), target.unit),
            cat(target.bound == Target::Bound::at_least ? "at least " : "at most ",
                with_unit(number_text(target.wanted), target.unit)),
            target.met() ? "met" : "**missed**"};
}

std::string targets_table(const Benchmark& benchmark) {
    std::string text = "| target | measured | wanted | |\n|---|---:|---:|---|\n";
    for (const Target& target : benchmark.targets) {
        text += row_of(target_cells(target));
    }
    return text;
}

/// Where a subject has figures: without `at` first, then ascending.
std::set<std::optional<double>> places_of(const Benchmark& benchmark, const std::string& subject) {
    std::set<std::optional<double>> places;
    for (const Series& one : benchmark.series) {
        if (one.subject == subject) {
            places.insert(one.at);
        }
    }
    return places;
}

}  // namespace

std::string table_of(const Benchmark& benchmark) {
    const bool has_at = std::ranges::any_of(benchmark.series, [](const Series& one) { return one.at.has_value(); });
    std::vector<std::string> head{""};
    std::vector<std::string> line{"---"};
    if (has_at) {
        head.push_back(benchmark.axis);
        line.emplace_back("---:");
    }
    for (const std::string& figure : benchmark.figures()) {
        const std::string unit = benchmark.unit_of(figure);
        head.push_back(cell(unit.empty() ? figure : cat(figure, " (", unit, ")")));
        line.emplace_back("---:");
    }
    std::string text = row_of(head) + cat("|", join(line, "|"), "|\n");
    const auto subjects = benchmark.subjects();
    const bool compared = std::ranges::any_of(subjects, is_ours) && !std::ranges::all_of(subjects, is_ours);
    for (const std::string& subject : subjects) {
        for (const auto& at : places_of(benchmark, subject)) {
            const std::string mark = compared && is_ours(subject) ? "**" : "";
            std::vector<std::string> cells{cat(mark, cell(subject), mark)};
            if (has_at) {
                cells.push_back(at ? count_text(*at) : "");
            }
            for (const std::string& figure : benchmark.figures()) {
                const Series* series = benchmark.find(subject, figure, at);
                cells.push_back(series != nullptr ? spread_text(spread_of(series->values)) : "");
            }
            text += row_of(cells);
        }
    }
    return text;
}

std::string section_of(const Benchmark& benchmark, const std::vector<Picture>& pictures) {
    std::string text = cat(benchmark.quick ? cat(kQuick, "\n\n") : "", conditions_of(benchmark), "\n\n", benchmark.how,
                           "\n\n", table_of(benchmark));
    // Folded, as the tables say it all: an empty line lets Markdown go on inside.
    text += pictures.empty() ? "" : "\n<details>\n<summary>The same in pictures</summary>\n";
    for (const Picture& picture : pictures) {
        text += cat("\n![", picture.text, "](", picture.path, ")\n");
    }
    text += pictures.empty() ? "" : "\n</details>\n";
    if (!benchmark.targets.empty()) {
        text += cat("\n", targets_table(benchmark));
    }
    for (std::size_t i = 0; i < benchmark.notes.size(); ++i) {
        std::string note = benchmark.notes[i];
        std::ranges::replace(note, '\n', ' ');
        text += cat(i == 0 ? "\n- " : "- ", note, "\n");
    }
    text.pop_back();
    return text;
}

std::string targets_of(const std::vector<Benchmark>& all) {
    std::size_t met = 0;
    std::size_t count = 0;
    bool quick = false;
    std::string rows;
    for (const Benchmark& benchmark : all) {
        quick = quick || benchmark.quick;
        for (const Target& target : benchmark.targets) {
            std::vector<std::string> cells = target_cells(target);
            cells.insert(cells.begin(), benchmark.name);
            rows += row_of(cells);
            met += target.met() ? 1U : 0U;
            ++count;
        }
    }
    std::string text = cat(quick ? cat(kQuick, "\n\n") : "", met, " of ", count,
                           " targets are met.\n\n| benchmark | target | measured | wanted | |\n"
                           "|---|---|---:|---:|---|\n",
                           rows);
    text.pop_back();
    return text;
}

}  // namespace viscum
