// SPDX-License-Identifier: GPL-2.0-only
// viscum-reliability-report FIGURES_DIR TESTS_DIR: docs/reliability.md on standard output, of what the tests have
// recorded (tests/support/campaign.h). What a test recorded that is in no source any more is left out. Ends with 1
// where a row of the fault matrix has no test, or one that did not hold.
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kFileLimit = 1024 * 1024;

struct Row {
    int number;
    const char* fault;
    const char* missing = nullptr;  // why there is no test
};
constexpr std::array kRows{
    Row{1, "a service crashes"},
    Row{2, "a service hangs"},
    Row{3, "a service accepts, and never answers"},
    Row{4, "a service starts slowly, or its port never opens"},
    Row{5, "a service listens at the wrong address"},
    Row{6, "a service runs out of memory"},
    Row{7, "a fork bomb"},
    Row{8, "zombies, and children that run away"},
    Row{9, "a full disk"},
    Row{10, "errors of write, fsync and rename"},
    Row{11, "a power cut"},
    Row{12, "torn writes and rotten bits"},
    Row{13, "no descriptors left"},
    Row{14, "no memory left"},
    Row{15, "SIGKILL of viscumd at every system call"},
    Row{16, "every system call fails once"},
    Row{17, "viscumd hangs"},
    Row{18, "two viscumds"},
    Row{19, "a clock that jumps"},
    Row{20, "a device goes, is renamed, flaps"},
    Row{21, "another tool flushes"},
    Row{22, "another tool's filter before ours"},
    Row{23, "netlink loses news (ENOBUFS)"},
    Row{24, "netlink answers are lost, or EBUSY, EEXIST"},
    Row{25, "a BPF map is full, a load refused"},
    Row{26, "ids of namespaces change"},
    Row{27, "a SYN flood"},
    Row{28, "a flood of connections, slowloris"},
    Row{29, "malformed packets"},
    Row{30, "ICMP errors and path MTU"},
    Row{31, "a hostile answer to a probe"},
    Row{32, "abuse of the control socket"},
    Row{33, "hostile bundles"},
    Row{34, "hostile YAML"},
    Row{35, "a fleet over SSH that fails in parts"},
    Row{36, "a control group vanishes, or cannot be removed"},
    Row{37, "a live move fails midway", "nothing moves yet"},
    Row{38, "all of it mixed, for a while"},
};

struct Part {
    std::string name;
    std::string title;
    std::string repeat;
    bool full = false;
    std::uint32_t seed = 0;
    std::vector<std::pair<std::string, std::string>> values;

    [[nodiscard]] std::string value(const std::string& key) const {
        const auto found = std::ranges::find(values, key, &std::pair<std::string, std::string>::first);
        return found == values.end() ? "" : found->second;
    }
};

std::optional<Part> read_part(const std::string& path, const std::string& name) {
    const auto text = read_file(path, kFileLimit);
    const auto json = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
    if (!json.is_object()) {
        std::cerr << path << ": no figures\n";
        return std::nullopt;
    }
    Part part{name, json.value("title", ""), json.value("repeat", ""), json.value("full", false), 0, {}};
    part.seed = json.value("seed", 0U);
    const auto values = json.value("values", nlohmann::json::array());
    for (const auto& pair : values) {
        if (pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string()) {
            part.values.emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
        }
    }
    return part;
}

std::vector<Part> read_parts(const std::string& directory) {
    std::vector<Part> parts;
    const auto names = list_directory(directory);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        // What an example saves stands on its own page.
        if (name.ends_with(".json") && !name.starts_with("example-")) {
            if (auto part = read_part(cat(directory, '/', name), name.substr(0, name.size() - 5))) {
                parts.push_back(std::move(*part));
            }
        }
    }
    return parts;
}

/// All test files, one behind the other.
std::string sources_in(const std::string& directory) {
    std::string all;
    std::error_code failed;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, failed)) {
        const std::string path = entry.path().string();
        if (path.ends_with("_test.cpp") || path.ends_with("fleet/CMakeLists.txt")) {
            const auto text = read_file(path, kFileLimit);
            all += text ? *text : "";
        }
    }
    return all;
}

/// A test that was renamed or is gone has left its record.
void forget_gone_tests(std::vector<Part>& parts, const std::string& sources) {
    std::erase_if(parts, [&](const Part& part) {
        return part.name.starts_with("row-") &&
               sources.find(cat('"', "fault ", part.title, ": ", part.value("test"), '"')) == std::string::npos;
    });
}

/// In a table's cell.
std::string cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
        text.insert(at, 1, '\\');
    }
    std::ranges::replace(text, '\n', ' ');
    return text;
}

/// The tests by the number of each row that they stand for.
std::multimap<int, const Part*> by_row(const std::vector<Part>& parts) {
    std::multimap<int, const Part*> rows;
    for (const Part& part : parts) {
        if (!part.name.starts_with("row-")) {
            continue;
        }
        for (const std::string& word : split(part.title, ',')) {
            const auto number = parse_decimal(word.substr(word.find_first_not_of(' ')), 99);
            if (number) {
                rows.emplace(static_cast<int>(*number), &part);
            }
        }
    }
    return rows;
}

/// The matrix; false where something is missing or fell.
bool print_rows(const std::vector<Part>& parts) {
    const auto tests = by_row(parts);
    bool whole = true;
    std::cout << "| # | fault | what was seen to hold |\n|---|---|---|\n";
    for (const Row& row : kRows) {
        std::vector<std::string> lines;
        const auto [first, last] = tests.equal_range(row.number);
        for (auto at = first; at != last; ++at) {
            const std::string held = at->second->value("held");
            whole = whole && held != "no";
            const std::string how = held == "yes"       ? ""
                                    : held == "skipped" ? cat("**skipped** (", at->second->value("skipped"), "): ")
                                                        : "**FELL:** ";
            lines.push_back(cell(cat(how, at->second->value("test"))));
        }
        if (lines.empty()) {
            whole = whole && row.missing != nullptr;
            lines.push_back(
                cat("no test", row.missing != nullptr ? ": " : "", row.missing != nullptr ? row.missing : ""));
        }
        std::ranges::sort(lines);
        std::cout << "| " << row.number << " | " << row.fault << " | " << join(lines, "<br>") << " |\n";
    }
    return whole;
}

void print_part(const Part& part) {
    std::cout << "\n### " << part.title << "\n\n| | |\n|---|---|\n";
    for (const auto& [name, value] : part.values) {
        std::cout << "| " << cell(name) << " | " << cell(value) << " |\n";
    }
    std::cout << "\n" << (part.full ? "Everything" : "A sample") << ", seed " << part.seed << ".";
    if (!part.repeat.empty()) {
        std::cout << " To repeat: `" << part.repeat << "`";
    }
    std::cout << "\n";
}

void print_head() {
    utsname kernel{};
    uname(&kernel);
    std::array<char, 32> day{};
    const std::time_t now = std::time(nullptr);
    tm utc{};
    gmtime_r(&now, &utc);
    std::strftime(day.data(), day.size(), "%Y-%m-%d", &utc);
    std::cout
        << "# Reliability\n\n"
           "Every promise has a test that injects its fault for real: real programs, a real kernel, in namespaces\n"
           "that are thrown away. This page is written by `make reliability`, of what the tests recorded last.\n\n"
           "| | |\n|---|---|\n"
           "| a sample, with every run of the tests | `make test` |\n"
           "| everything | `sudo make faults` |\n"
           "| all of it mixed, for 20 minutes | `sudo make soak` |\n"
           "| the fuzzers, for long | `make fuzz` |\n"
           "| the same lots again | `VISCUM_TEST_SEED=N` before any of them |\n"
           "| the oracles by hand | `viscum-oracle --help`: LEAK, FLOW, STATE, LOG |\n\n"
           "- **LEAK**: what there is before and after: namespaces, links, addresses, routes, rules, filters, nft,\n"
           "  pins, control groups, mounts, processes, descriptors, files. The difference is empty.\n"
           "- **FLOW**: a client without pause. Every request is answered, locally or by the cloud; no connection is\n"
           "  reset but those that a killed program had open.\n"
           "- **STATE**: what is on disk parses, and is the old or the new.\n"
           "- **LOG**: one error, and it names the cause.\n\n"
           "What cannot be made true is in [limits.md](limits.md).\n\n"
        << "Written " << day.data() << ", Linux "
        << std::string(kernel.release).substr(0, std::string(kernel.release).find('-')) << ", " << kernel.machine
        << ".\n\n";
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    using namespace viscum;
    if (argc != 3) {
        std::cerr << "usage: viscum-reliability-report FIGURES_DIR TESTS_DIR\n";
        return 2;
    }
    std::vector<Part> parts = read_parts(argv[1]);
    forget_gone_tests(parts, sources_in(argv[2]));
    print_head();
    std::cout << "## The fault matrix\n\n";
    const bool whole = print_rows(parts);
    std::cout << "\n## Figures\n";
    for (const Part& part : parts) {
        if (!part.name.starts_with("row-")) {
            print_part(part);
        }
    }
    return whole ? 0 : 1;
}
