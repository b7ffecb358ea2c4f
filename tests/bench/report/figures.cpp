// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/report/figures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace viscum {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kOurs = "viscum";

/// Notes the first thing that is missing or of another type; goes on with nothing.
class Reader {
public:
    explicit Reader(const Json& json) : json_(json) {}

    std::string text(const char* key) {
        const Json* found = find(key, &Json::is_string);
        return found != nullptr ? found->get<std::string>() : "";
    }
    double number(const char* key) {
        const Json* found = find(key, &Json::is_number);
        return found != nullptr ? found->get<double>() : 0;
    }
    bool truth(const char* key) {
        const Json* found = find(key, &Json::is_boolean);
        return found != nullptr && found->get<bool>();
    }
    const Json& list(const char* key) {
        static const Json kNone = Json::array();
        const Json* found = find(key, &Json::is_array);
        return found != nullptr ? *found : kNone;
    }
    const Json& object(const char* key) {
        static const Json kNone = Json::object();
        const Json* found = find(key, &Json::is_object);
        return found != nullptr ? *found : kNone;
    }
    [[nodiscard]] bool has(const char* key) const { return json_.is_object() && json_.contains(key); }

    void complain(const std::string& what) {
        if (wrong_.empty()) {
            wrong_ = what;
        }
    }
    void complain_of(const Reader& part) {
        if (!part.wrong_.empty()) {
            complain(part.wrong_);
        }
    }
    [[nodiscard]] const std::string& wrong() const { return wrong_; }

private:
    const Json* find(const char* key, bool (Json::*is_right)() const noexcept) {
        if (!has(key) || !(json_[key].*is_right)()) {
            complain(cat("'", key, "' is missing, or is something else"));
            return nullptr;
        }
        return &json_[key];
    }

    const Json& json_;
    std::string wrong_;
};

Series read_series(const Json& json, Reader& whole) {
    Reader in(json);
    Series series{in.text("subject"), in.text("figure"), in.text("unit"), std::nullopt, {}};
    if (in.has("at")) {
        series.at = in.number("at");
    }
    for (const Json& value : in.list("values")) {
        if (value.is_number()) {
            series.values.push_back(value.get<double>());
        }
    }
    if (series.values.empty()) {
        in.complain("a series has no values");
    }
    whole.complain_of(in);
    return series;
}

Target read_target(const Json& json, Reader& whole) {
    Reader in(json);
    const std::string bound = in.text("bound");
    if (bound != "at least" && bound != "at most") {
        in.complain("a target's 'bound' is neither 'at least' nor 'at most'");
    }
    Target target{in.text("what"), bound == "at least" ? Target::Bound::at_least : Target::Bound::at_most,
                  in.number("wanted"), in.text("unit"), in.number("measured")};
    whole.complain_of(in);
    return target;
}

bool is_name(const std::string& name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

Result<Benchmark> read_benchmark(const Json& json) {
    Reader in(json);
    Benchmark one;
    one.name = in.text("name");
    one.how = in.text("how");
    one.quick = in.truth("quick");
    one.axis = in.has("axis") ? in.text("axis") : "";
    Reader machine(in.object("machine"));
    one.machine = {machine.text("processor"), static_cast<std::int64_t>(machine.number("processors")),
                   machine.text("kernel"), machine.number("load"), machine.text("date")};
    in.complain_of(machine);
    for (const Json& series : in.list("series")) {
        one.series.push_back(read_series(series, in));
    }
    for (const Json& target : in.list("targets")) {
        one.targets.push_back(read_target(target, in));
    }
    for (const Json& note : in.list("notes")) {
        one.notes.push_back(note.is_string() ? note.get<std::string>() : "");
    }
    if (!is_name(one.name)) {
        in.complain(cat("'", one.name, "' is no name of a benchmark"));
    }
    if (!in.wrong().empty()) {
        return Error{EINVAL, in.wrong()};
    }
    return one;
}

std::vector<std::string> in_order(const std::vector<Series>& series, std::string Series::*member) {
    std::vector<std::string> all;
    for (const Series& one : series) {
        if (std::ranges::find(all, one.*member) == all.end()) {
            all.push_back(one.*member);
        }
    }
    return all;
}

}  // namespace

const Series* Benchmark::find(const std::string& subject, const std::string& figure, std::optional<double> at) const {
    const auto found = std::ranges::find_if(
        series, [&](const Series& one) { return one.subject == subject && one.figure == figure && one.at == at; });
    return found == series.end() ? nullptr : &*found;
}

std::vector<std::string> Benchmark::subjects() const {
    return in_order(series, &Series::subject);
}

std::vector<std::string> Benchmark::figures() const {
    return in_order(series, &Series::figure);
}

std::string Benchmark::unit_of(const std::string& figure) const {
    const auto found = std::ranges::find(series, figure, &Series::figure);
    return found == series.end() ? "" : found->unit;
}

bool is_ours(const std::string& subject) {
    return subject == kOurs || subject.starts_with(cat(kOurs, " ")) || subject.starts_with(cat(kOurs, ","));
}

std::string count_text(double value) {
    if (std::fabs(value) < 100 && value == std::floor(value)) {
        return std::to_string(static_cast<int>(value));
    }
    return number_text(value);
}

Result<std::string> merge_figures(const std::string& kept, const std::map<std::string, std::string>& fresh) {
    std::map<std::string, Json> all;
    if (!kept.empty()) {
        const Json before = Json::parse(kept, nullptr, false);
        if (!before.is_object()) {
            return Error{EINVAL, "the figures that are kept are no JSON object"};
        }
        for (const auto& [name, benchmark] : before.items()) {
            all[name] = benchmark;
        }
    }
    for (const auto& [path, text] : fresh) {
        Json json = Json::parse(text, nullptr, false);
        const auto benchmark = read_benchmark(json);
        if (!benchmark) {
            return Error{EINVAL, cat(path, " is not a benchmark's file: ", benchmark.error().what)};
        }
        all[benchmark->name] = std::move(json);
    }
    Json merged = Json::object();
    for (auto& [name, benchmark] : all) {
        merged[name] = std::move(benchmark);
    }
    return merged.dump(1) + "\n";
}

Result<std::vector<Benchmark>> read_figures(const std::string& text) {
    const Json json = Json::parse(text, nullptr, false);
    std::vector<Benchmark> all;
    for (const auto& [name, entry] : json.items()) {
        auto benchmark = read_benchmark(entry);
        if (!benchmark) {
            return std::move(benchmark).error().in(cat("the figures of '", name, "'"));
        }
        all.push_back(*std::move(benchmark));
    }
    return all;
}

Status refuse_quick(const std::vector<Benchmark>& all) {
    std::vector<std::string> names;
    for (const Benchmark& one : all) {
        if (one.quick) {
            names.push_back(one.name);
        }
    }
    return names.empty() ? Status() : Status(Error{EINVAL, cat("quick figures say nothing: ", join(names, ", "))});
}

}  // namespace viscum
