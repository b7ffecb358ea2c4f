// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/oracle/oracle.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "controller/spec/parse.h"

namespace viscum {
namespace {

constexpr std::size_t kLimit = 1024 * 1024;
constexpr std::string_view kYaml = ".yaml";

Status read_generations(const Instance& instance, DiskState& disk) {
    for (const char* parity : {"0", "1"}) {
        const std::string path = cat(instance.state_dir(), "/state.", parity);
        const auto bytes = read_file(path, kLimit);
        if (!bytes) {
            if (bytes.error().errno_code == ENOENT) {
                continue;
            }
            return bytes.error();
        }
        std::uint64_t generation = 0;
        auto state = decode_state(*bytes, &generation);
        if (!state) {
            disk.broken.push_back(cat(path, ": ", state.error().what));
        } else if (generation > disk.generation) {
            disk.generation = generation;
            disk.state = std::move(*state);
        }
    }
    return {};
}

Status read_services(const Instance& instance, DiskState& disk) {
    const auto names = list_directory(instance.services_dir());
    if (!names) {
        return names.error();
    }
    for (const std::string& file : *names) {
        if (!file.ends_with(kYaml)) {
            continue;
        }
        const std::string path = cat(instance.services_dir(), '/', file);
        auto text = read_file(path, kLimit);
        if (!text) {
            return text.error();
        }
        if (const auto parsed = parse_service(*text, path); const auto* wrong = std::get_if<Diagnostics>(&parsed)) {
            disk.broken.push_back(wrong->empty() ? path : wrong->front().text());
        }
        disk.services[file.substr(0, file.size() - kYaml.size())] = std::move(*text);
    }
    return {};
}

void judge_service(const std::string& name, const DiskState& now, const DiskState& before, const DiskState& after,
                   std::vector<std::string>& problems) {
    const auto text = [&name](const DiskState& disk) -> const std::string* {
        const auto found = disk.services.find(name);
        return found == disk.services.end() ? nullptr : &found->second;
    };
    const auto same = [](const std::string* one, const std::string* other) {
        return one == nullptr || other == nullptr ? one == other : *one == *other;
    };
    if (!same(text(now), text(before)) && !same(text(now), text(after))) {
        problems.push_back(cat("the file of '", name, "' is neither the old nor the new one"));
    }
}

bool has_level(const LogLine& line) {
    return line.level == "warning" || line.level == "error";
}

}  // namespace

bool DiskState::same_as(const DiskState& other) const {
    return state == other.state && services == other.services;
}

Result<DiskState> read_disk_state(const Instance& instance) {
    DiskState disk;
    if (auto status = read_generations(instance, disk); !status) {
        return std::move(status).error();
    }
    if (auto status = read_services(instance, disk); !status) {
        return std::move(status).error();
    }
    const auto known = disk.state.next;
    for (const auto& [name, next] : known) {
        const auto file = disk.services.find(name);
        settle_next(disk.state, name, file == disk.services.end() ? nullptr : &file->second);
    }
    return disk;
}

std::vector<std::string> judge_state(const DiskState& now, const DiskState& before, const DiskState& after) {
    std::vector<std::string> problems = now.broken;
    if (now.state != before.state && now.state != after.state) {
        problems.push_back(cat("the state, generation ", now.generation,
                               ", is neither the old nor the new one: ", encode_state(now.state, now.generation)));
    }
    std::set<std::string> names;
    for (const DiskState* disk : {&now, &before, &after}) {
        for (const auto& [name, text] : disk->services) {
            names.insert(name);
        }
    }
    for (const std::string& name : names) {
        judge_service(name, now, before, after, problems);
    }
    return problems;
}

std::vector<LogLine> log_lines(std::string_view log) {
    constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};
    std::vector<LogLine> lines;
    for (const std::string& line : split(log, '\n')) {
        // "2026-01-31T12:00:00.000Z warning TEXT"
        const auto words = split(line, ' ');
        const bool begins = words.size() >= 2 && words[0].ends_with('Z') && words[0].find('T') == 10 &&
                            std::ranges::find(kLevels, words[1]) != kLevels.end();
        if (begins) {
            lines.push_back({words[1], line.substr(std::min(line.size(), words[0].size() + words[1].size() + 2))});
        } else if (!lines.empty() && !line.empty()) {
            lines.back().text += cat('\n', line);
        }
    }
    return lines;
}

std::vector<std::string> judge_log(std::string_view log, std::string_view cause) {
    std::set<std::string> said;
    std::vector<std::string> problems;
    for (const LogLine& line : log_lines(log)) {
        if (has_level(line) && said.insert(line.text).second && line.text.find(cause) == std::string::npos) {
            problems.push_back(cat("beside the cause the log says: ", line.text));
        }
    }
    const auto causes = said.size() - problems.size();
    if (causes != 1) {
        problems.push_back(cat("the log names '", cause, "' in ", causes, " different lines, not in one"));
    }
    return problems;
}

}  // namespace viscum
