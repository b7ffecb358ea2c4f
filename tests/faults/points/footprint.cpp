// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/footprint.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/support/process_tree.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSmall = 65'536;

/// "web.1" as "web.0": slots come and go.
std::string without_slot(std::string name) {
    if (name.ends_with(".1")) {
        name.replace(name.size() - 2, 2, ".0");
    }
    return name;
}

std::vector<std::string> entries(const std::string& directory) {
    auto names = list_directory(directory);
    return names ? *std::move(names) : std::vector<std::string>();
}

void add_tree(const std::string& what, const std::string& directory, std::vector<std::string>& lines) {
    std::error_code error;
    for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
        std::string path;
        for (const auto& part : it->path()) {
            path += cat(part == "/" ? "" : "/", without_slot(part.string() == "/" ? "" : part.string()));
        }
        lines.push_back(cat(what, " ", path));
    }
}

void add_names(const Instance& instance, std::vector<std::string>& lines) {
    for (const std::string& name : entries("/run/netns")) {
        if (name == instance.name || name.starts_with(instance.name + "-")) {
            lines.push_back("namespace " + (name.ends_with(".1") ? name.substr(0, name.size() - 2) : name));
        }
    }
}

void add_devices(const NetNs& router, std::vector<std::string>& lines) {
    const auto looked = router.inside([&]() -> Status {
        const auto text = read_file("/proc/thread-self/net/dev", kSmall);
        for (const std::string& line : split(text ? *text : "", '\n')) {
            const auto colon = line.find(':');
            if (colon != std::string::npos) {
                std::string name = line.substr(line.find_first_not_of(' '), colon - line.find_first_not_of(' '));
                // The devices of the bed have names of their own; whatever else there is belongs to a service.
                const bool of_bed = name == "lo" || name == "wan" || name.starts_with("lan") || name == "br-lan";
                lines.push_back(of_bed ? cat("device ", name) : "device of a service");
            }
        }
        return {};
    });
    if (!looked) {
        lines.push_back(looked.error().what);
    }
}

void add_groups(const Instance& instance, std::vector<std::string>& lines) {
    for (const std::string& hierarchy : entries("/sys/fs/cgroup")) {
        for (const std::string& top : {cat("/sys/fs/cgroup/", hierarchy, "/", instance.name)}) {
            std::error_code error;
            for (fs::directory_iterator it(top, error), end; !error && it != end; it.increment(error)) {
                if (it->is_directory(error)) {
                    lines.push_back(cat("group ", hierarchy, " ", without_slot(it->path().filename().string())));
                }
            }
        }
    }
}

void add_tables(const Instance& instance, std::vector<std::string>& lines) {
    std::error_code error;
    for (fs::recursive_directory_iterator it(instance.bpf_dir(), error), end; !error && it != end;
         it.increment(error)) {
        lines.push_back("pin " + it->path().string());
        const std::string name = it->path().filename().string();
        for (const char* table : {"vs_exact", "vs_prefix", "vs_port", "vs_claims", "vs_links", "vs_egress"}) {
            if (name == table) {
                lines.push_back(cat("entries of ", name, ": ", map_entries(it->path().string())));
            }
        }
    }
}

void add_processes(std::vector<std::string>& lines) {
    for (const pid_t pid : descendants(1)) {
        const auto name = read_file(cat("/proc/", pid, "/comm"), 64);
        if (name && (name->starts_with("viscum-shim") || name->starts_with("viscum-test-ser"))) {
            lines.push_back("process " + name->substr(0, name->size() - 1));
        }
    }
}

void add_unfinished(const std::string& directory, std::vector<std::string>& lines) {
    for (const std::string& name : entries(directory)) {
        if (name.ends_with(".new")) {
            lines.push_back(cat("unfinished ", directory, "/", name));
        }
    }
}

}  // namespace

int map_entries(const std::string& pin) {
    bpf_attr attr{};
    attr.pathname = reinterpret_cast<std::uintptr_t>(pin.c_str());
    const UniqueFd map(static_cast<int>(syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof attr)));
    bpf_map_info info{};
    attr = {};
    attr.info.bpf_fd = static_cast<std::uint32_t>(map.get());
    attr.info.info_len = sizeof info;
    attr.info.info = reinterpret_cast<std::uintptr_t>(&info);
    if (!map || syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) != 0) {
        return -1;
    }
    std::vector<char> key(info.key_size);
    std::vector<char> next(info.key_size);
    int count = 0;
    for (; count <= static_cast<int>(info.max_entries); ++count) {
        attr = {};
        attr.map_fd = static_cast<std::uint32_t>(map.get());
        attr.key = count == 0 ? 0 : reinterpret_cast<std::uintptr_t>(key.data());
        attr.next_key = reinterpret_cast<std::uintptr_t>(next.data());
        if (syscall(SYS_bpf, BPF_MAP_GET_NEXT_KEY, &attr, sizeof attr) != 0) {
            break;
        }
        key = next;
    }
    return count;
}

std::vector<std::string> footprint(const Instance& instance, const NetNs& router) {
    std::vector<std::string> lines;
    add_names(instance, lines);
    add_devices(router, lines);
    add_groups(instance, lines);
    add_tables(instance, lines);
    add_processes(lines);
    add_tree("below", instance.run_dir(), lines);
    // Which of many starts is held back depends on how many there were before.
    std::erase_if(lines, [](const std::string& line) { return line.find("events.start") != std::string::npos; });
    add_unfinished(instance.services_dir(), lines);
    add_unfinished(instance.state_dir(), lines);
    const auto masked = run({"nft", "list", "tables"}, {.ns = &router});
    for (const std::string& line : split(masked.out, '\n')) {
        if (!line.empty()) {
            lines.push_back(line);
        }
    }
    std::ranges::sort(lines);
    return lines;
}

}  // namespace viscum
