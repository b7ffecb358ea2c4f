// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/measure/measurements.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "tests/bench/measure/must.h"

namespace viscum {
namespace {

/// "Intel(R) Xeon(R) …" of /proc/cpuinfo; where it says none, the architecture.
std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name")) {
            return line.substr(std::min(line.size(), line.find(": ") + 2));
        }
    }
    utsname name{};
    uname(&name);
    return static_cast<const char*>(name.machine);
}

nlohmann::ordered_json machine() {
    utsname name{};
    uname(&name);
    double load = 0;
    (void)getloadavg(&load, 1);
    char today[16] = "";
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    (void)std::strftime(today, sizeof today, "%Y-%m-%d", gmtime_r(&now, &utc));
    return {{"processor", processor_name()},
            {"processors", sysconf(_SC_NPROCESSORS_ONLN)},
            {"kernel", static_cast<const char*>(name.release)},
            {"load", load},
            {"date", static_cast<const char*>(today)}};
}

std::string target_text(const Target& target) {
    return cat(target.what, ": ", number_text(target.measured), target.unit.empty() ? "" : " ", target.unit,
               ", wanted ", target.bound == Target::Bound::at_least ? "at least " : "at most ",
               number_text(target.wanted), target.met() ? "" : ": MISSED");
}

}  // namespace

Spread spread_of(std::vector<double> values) {
    if (values.empty()) {
        return {};
    }
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {median, values.front(), values.back()};
}

double percentile(std::vector<double> values, double share) {
    if (values.empty()) {
        return 0;
    }
    std::ranges::sort(values);
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::string number_text(double value) {
    const double size = std::fabs(value);
    char text[64];
    std::snprintf(text, sizeof text, "%.*f",
                  size >= 100 || size == 0 ? 0
                  : size >= 10             ? 1
                  : size >= 0.1            ? 2
                                           : 4,
                  value);
    std::string digits(text);
    for (auto at = static_cast<std::ptrdiff_t>(std::min(digits.find('.'), digits.size())) - 3; at > (value < 0 ? 1 : 0);
         at -= 3) {
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    }
    return digits;
}

Measurements::Measurements(std::string name, std::string how, Scale scale)
    : name_(std::move(name)), how_(std::move(how)), scale_(scale) {}

void Measurements::add(std::string_view subject, std::string_view figure, std::string_view unit, double value,
                       std::optional<double> at) {
    const auto found = std::ranges::find_if(
        series_, [&](const Series& one) { return one.subject == subject && one.figure == figure && one.at == at; });
    if (found != series_.end()) {
        found->values.push_back(value);
        return;
    }
    series_.push_back({std::string(subject), std::string(figure), std::string(unit), at, {value}});
}

void Measurements::note(std::string text) {
    if (std::ranges::find(notes_, text) == notes_.end()) {
        notes_.push_back(std::move(text));
    }
}

const Series* Measurements::find(std::string_view subject, std::string_view figure, std::optional<double> at) const {
    const auto found = std::ranges::find_if(
        series_, [&](const Series& one) { return one.subject == subject && one.figure == figure && one.at == at; });
    return found == series_.end() ? nullptr : &*found;
}

const Series& Measurements::measured(std::string_view subject, std::string_view figure,
                                     std::optional<double> at) const {
    const Series* series = find(subject, figure, at);
    if (series == nullptr) {
        give_up(cat(name_, ": a target needs '", figure, "' of '", subject, "', which was not measured"));
    }
    return *series;
}

void Measurements::expect(Target::Bound bound, std::string_view subject, std::string_view figure, double wanted,
                          std::optional<double> at) {
    const Series& series = measured(subject, figure, at);
    targets_.push_back({cat(figure, ", ", subject, at ? cat(" ", number_text(*at)) : ""), bound, wanted, series.unit,
                        spread_of(series.values).median});
}

void Measurements::expect_ratio(Target::Bound bound, std::string_view subject, std::string_view peer,
                                std::string_view figure, double wanted, std::optional<double> at) {
    const Series* ours = &measured(subject, figure, at);
    const Series* theirs = find(peer, figure, at);
    if (theirs == nullptr && at) {
        theirs = find(peer, figure);
    }
    if (theirs == nullptr) {
        return;
    }
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(ours->values.size(), theirs->values.size()); ++i) {
        if (theirs->values[i] != 0) {
            ratios.push_back(ours->values[i] / theirs->values[i]);
        }
    }
    targets_.push_back({cat(figure, ", ", subject, " to ", peer, at ? cat(", ", number_text(*at)) : ""), bound, wanted,
                        "x", spread_of(std::move(ratios)).median});
}

void Measurements::print() const {
    std::printf("\n%s%s\n  %s\n", name_.c_str(), scale_ == Scale::quick ? " (quick: the figures say nothing)" : "",
                how_.c_str());
    for (const Series& series : series_) {
        const Spread spread = spread_of(series.values);
        const std::string subject = series.at ? cat(series.subject, " ", number_text(*series.at)) : series.subject;
        std::printf("  %-34s %-26s %10s %-8s (%s to %s of %zu)\n", subject.c_str(), series.figure.c_str(),
                    number_text(spread.median).c_str(), series.unit.c_str(), number_text(spread.least).c_str(),
                    number_text(spread.most).c_str(), series.values.size());
    }
    for (const std::string& note : notes_) {
        std::printf("  note: %s\n", note.c_str());
    }
    for (const Target& target : targets_) {
        std::printf("  target: %s\n", target_text(target).c_str());
    }
    std::fflush(stdout);
}

std::string Measurements::json() const {
    nlohmann::ordered_json series = nlohmann::ordered_json::array();
    for (const Series& one : series_) {
        nlohmann::ordered_json entry{{"subject", one.subject}, {"figure", one.figure}, {"unit", one.unit}};
        if (one.at) {
            entry["at"] = *one.at;
        }
        const Spread spread = spread_of(one.values);
        entry["median"] = spread.median;
        entry["min"] = spread.least;
        entry["max"] = spread.most;
        entry["values"] = one.values;
        series.push_back(std::move(entry));
    }
    nlohmann::ordered_json targets = nlohmann::ordered_json::array();
    for (const Target& one : targets_) {
        targets.push_back({{"what", one.what},
                           {"bound", one.bound == Target::Bound::at_least ? "at least" : "at most"},
                           {"wanted", one.wanted},
                           {"unit", one.unit},
                           {"measured", one.measured},
                           {"met", one.met()}});
    }
    const nlohmann::ordered_json all{{"name", name_},      {"how", how_},          {"quick", scale_ == Scale::quick},
                                     {"axis", axis_},      {"machine", machine()}, {"series", series},
                                     {"targets", targets}, {"notes", notes_}};
    return all.dump(1) + "\n";
}

Status Measurements::finish() const {
    print();
    if (Status made = make_directory(VISCUM_BENCH_DIR, 0755); !made) {
        return made;
    }
    return write_file_atomically(cat(VISCUM_BENCH_DIR "/", name_, ".json"), json(), 0644);
}

Scale scale_of(int argc, char** argv) {
    if (argc == 1) {
        return Scale::full;
    }
    if (argc == 2 && std::string_view(argv[1]) == "--quick") {
        return Scale::quick;
    }
    std::fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
    std::exit(2);
}

}  // namespace viscum
