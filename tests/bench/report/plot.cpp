// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/report/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <set>

#include "base/text.h"

namespace viscum {
namespace {

constexpr int kWidth = 860;
constexpr int kBarHeight = 30;
constexpr int kBarsMargin = 96;  // title and axis
constexpr double kLetter = 7.2;  // the width of a letter, about
constexpr int kLinesHeight = 420;
constexpr int kKeyLine = 20;
constexpr double kLogFrom = 100;  // a log axis where the most is so many times the least
constexpr const char* kOurs = "#0b6bcb";
constexpr const char* kPeer = "#a3adb8";
constexpr std::array kOurLines{"#0b6bcb", "#d9480f", "#2b8a3e", "#862e9c"};
constexpr std::array kPeerLines{"#868e96", "#495057", "#adb5bd"};

/// In gnuplot's single quotes, where nothing but the quote itself has a meaning.
std::string quoted(std::string text) {
    for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 2) {
        text.insert(at, 1, '\'');
    }
    std::ranges::replace(text, '\n', ' ');
    return cat("'", text, "'");
}

/// A number as gnuplot reads it; %g has no locale here, as no program of ours sets one.
std::string plain(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.10g", value);
    return text;
}

std::string tick_list(const std::vector<double>& values) {
    std::vector<std::string> ticks;
    for (const double value : values) {
        ticks.push_back(cat(quoted(count_text(value)), " ", plain(value)));
    }
    return cat("(", join(ticks, ", "), ")");
}

std::string title_of(const Benchmark& benchmark, const std::string& figure) {
    const std::string unit = benchmark.unit_of(figure);
    return cat(figure, unit.empty() ? "" : cat(", ", unit), benchmark.quick ? " (quick run: says nothing)" : "");
}

std::string head(const Benchmark& benchmark, const std::string& figure, int height) {
    return cat("set terminal svg noenhanced size ", kWidth, ",", height,
               " background '#ffffff' font 'sans-serif,14'\nset encoding utf8\nset border 0 lc '#495057'\n"
               "set style fill solid 1.0 noborder\nset grid lc '#e3e7eb' lt 1 lw 1\nset tics textcolor '#212529' "
               "scale 0\nset title ",
               quoted(title_of(benchmark, figure)), " textcolor '#212529'\n");
}

/// Ours are told from others only where there are others.
bool strong(const std::vector<std::string>& subjects, const std::string& subject) {
    return is_ours(subject) || std::ranges::none_of(subjects, is_ours);
}

std::string bars(const Benchmark& benchmark, const std::string& figure, const std::vector<std::string>& subjects) {
    std::array<std::string, 2> rows;  // of others, ours
    std::vector<std::string> names;
    std::size_t longest = 0;
    double most = 0;
    double least = 0;
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        const Spread spread = spread_of(benchmark.find(subjects[i], figure, std::nullopt)->values);
        rows.at(strong(subjects, subjects[i]) ? 1 : 0) +=
            cat(i, " ", plain(spread.median), " ", plain(spread.least), " ", plain(spread.most), " \"",
                number_text(spread.median), "\"\n");
        names.push_back(cat(quoted(subjects[i]), " ", i));
        longest = std::max(longest, subjects[i].size());
        most = std::max(most, spread.most);
        least = std::min(least, spread.least);
    }
    most = most > least ? most : least + 1;
    const int height = kBarsMargin + static_cast<int>(subjects.size()) * kBarHeight;
    std::string script = head(benchmark, figure, height);
    // Room on the right for the number beside the longest whisker.
    const double margin = std::min(0.6, (30 + kLetter * static_cast<double>(longest)) / kWidth);
    script += cat("set lmargin at screen ", plain(margin), "\nset rmargin at screen 0.98\nset xrange [",
                  plain(least * 1.1), ":", plain(most + (most - least) * 0.14), "]\nset yrange [",
                  plain(static_cast<double>(subjects.size()) - 0.4), ":-0.6]\nset ytics (", join(names, ", "),
                  ")\nset xtics ", tick_list(ticks_to(most)), "\nset grid noytics\n");
    std::vector<std::string> parts;
    for (const auto& [block, text, colour] : {std::tuple{"$others", rows[0], kPeer}, {"$ours", rows[1], kOurs}}) {
        if (text.empty()) {
            continue;
        }
        script += cat(block, " << END\n", text, "END\n");
        parts.push_back(cat(block, " using 2:1:(0):2:($1-0.34):($1+0.34) with boxxyerror lc rgb '", colour,
                            "' notitle, ", block, " using 2:1:3:4 with xerrorbars pt 0 lw 1.5 lc rgb '#212529' ",
                            "notitle, ", block, " using 4:1:5 with labels left offset 0.8,0 textcolor '#212529' ",
                            "notitle"));
    }
    return script + cat("plot ", join(parts, ", "), "\n");
}

/// The places of a figure's series, and where they are drawn: 0 has none on a log axis, and stands left of the others.
class LogAxis {
public:
    explicit LogAxis(const std::set<double>& places) : places_(places) {
        const auto positive = places.upper_bound(0);
        least_ = positive != places.end() ? *positive : 1;
    }
    [[nodiscard]] double drawn(double place) const { return place > 0 ? place : least_ / 10; }
    [[nodiscard]] std::string script() const {
        std::vector<std::string> ticks;
        for (const double place : places_) {
            ticks.push_back(cat(quoted(count_text(place)), " ", plain(drawn(place))));
        }
        return cat("set logscale x\nset xrange [", plain(first() / 1.3), ":", plain(last() * 1.3), "]\nset xtics (",
                   join(ticks, ", "), ")\n");
    }
    [[nodiscard]] double first() const { return drawn(*places_.begin()); }
    [[nodiscard]] double last() const { return drawn(*places_.rbegin()); }

private:
    const std::set<double>& places_;
    double least_;
};

/// The figure's axis: from 0, or log where that shows nothing of the small ones.
std::string height_axis(const std::vector<const Series*>& series) {
    double most = 0;
    double least = HUGE_VAL;
    for (const Series* one : series) {
        const Spread spread = spread_of(one->values);
        most = std::max(most, spread.most);
        least = std::min(least, spread.least);
    }
    if (least > 0 && most / least >= kLogFrom) {
        std::vector<double> ticks;
        for (double tick = std::pow(10, std::floor(std::log10(least))); tick <= most * 10; tick *= 10) {
            ticks.push_back(tick);
        }
        // A tick at the very end of a log axis is lost in rounding.
        return cat("set logscale y\nset yrange [", plain(ticks.front() * 0.99), ":", plain(most * 1.3), "]\nset ytics ",
                   tick_list(ticks), "\n");
    }
    most = most > 0 ? most : 1;
    return cat("set yrange [", plain(std::min(least, 0.0)), ":", plain(most * 1.08), "]\nset ytics ",
               tick_list(ticks_to(most)), "\n");
}

std::string lines(const Benchmark& benchmark, const std::string& figure, const std::vector<std::string>& subjects) {
    std::vector<const Series*> of_figure;
    std::set<double> places;
    for (const Series& one : benchmark.series) {
        if (one.figure == figure) {
            of_figure.push_back(&one);
            if (one.at) {
                places.insert(*one.at);
            }
        }
    }
    const LogAxis axis(places);
    std::string script = head(benchmark, figure, kLinesHeight + static_cast<int>(subjects.size()) * kKeyLine);
    script += cat(axis.script(), height_axis(of_figure), "set xlabel ", quoted(benchmark.axis),
                  " textcolor '#212529'\nset key below left Left reverse maxcols 1 textcolor '#212529'\n");
    std::vector<std::string> parts;
    std::array<std::size_t, 2> seen{};
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        std::string rows;
        const auto add = [&rows](double x, const Series& one) {
            const Spread spread = spread_of(one.values);
            rows += cat(plain(x), " ", plain(spread.median), " ", plain(spread.least), " ", plain(spread.most), "\n");
        };
        for (const double place : places) {
            if (const Series* one = benchmark.find(subjects[i], figure, place)) {
                add(axis.drawn(place), *one);
            }
        }
        // One that depends on nothing is a level line.
        const Series* level = benchmark.find(subjects[i], figure, std::nullopt);
        if (level != nullptr) {
            add(axis.first(), *level);
            add(axis.last(), *level);
        }
        const bool ours = strong(subjects, subjects[i]);
        const std::size_t nth = seen.at(ours ? 1 : 0)++;
        const char* colour = ours ? kOurLines.at(nth % kOurLines.size()) : kPeerLines.at(nth % kPeerLines.size());
        script += cat("$s", i, " << END\n", rows, "END\n");
        parts.push_back(cat("$s", i, " using 1:2:3:4 with yerrorlines lw ", ours ? "2.5" : "1.5", " dt ",
                            level != nullptr ? 2 : 1, " pt ", ours ? 7 : 4 + 2 * (nth % 3), " ps 0.6 lc rgb '", colour,
                            "' title ", quoted(subjects[i])));
    }
    return script + cat("plot ", join(parts, ", "), "\n");
}

}  // namespace

std::string slug(const std::string& text) {
    std::string slug;
    for (const char c : text) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        const bool capital = c >= 'A' && c <= 'Z';
        if (letter || capital) {
            slug += capital ? static_cast<char>(c - 'A' + 'a') : c;
        } else if (!slug.empty() && slug.back() != '-') {
            slug += '-';
        }
    }
    if (slug.ends_with('-')) {
        slug.pop_back();
    }
    return slug;
}

std::vector<double> ticks_to(double most) {
    const double decade = std::pow(10, std::floor(std::log10(most)) - 1);
    double step = decade;
    for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0, 50.0}) {
        step = decade * factor;
        if (most / step <= 5) {
            break;
        }
    }
    std::vector<double> ticks;
    for (int i = 0; i * step <= most * (1 + 1e-9); ++i) {
        ticks.push_back(i * step);
    }
    return ticks;
}

std::vector<Plot> plots_of(const Benchmark& benchmark) {
    std::vector<Plot> plots;
    for (const std::string& figure : benchmark.figures()) {
        std::vector<std::string> subjects;
        bool over_places = false;
        for (const Series& one : benchmark.series) {
            if (one.figure == figure) {
                over_places = over_places || one.at.has_value();
                if (std::ranges::find(subjects, one.subject) == subjects.end()) {
                    subjects.push_back(one.subject);
                }
            }
        }
        if (!over_places && subjects.size() < 2) {
            continue;
        }
        const std::string unit = benchmark.unit_of(figure);
        plots.push_back(
            {cat(benchmark.name, "-", slug(figure), ".svg"),
             cat(figure, unit.empty() ? "" : cat(" in ", unit),
                 over_places ? cat(" over ", benchmark.axis.empty() ? "its number" : benchmark.axis) : " by subject"),
             over_places ? lines(benchmark, figure, subjects) : bars(benchmark, figure, subjects)});
    }
    return plots;
}

}  // namespace viscum
