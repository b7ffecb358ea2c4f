// SPDX-License-Identifier: GPL-2.0-only
// Where the controllers are, and what is to be written for a limit.
#include <fcntl.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/sandbox/cgroup.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxMountinfo = 16UL << 20;
constexpr std::size_t kMaxText = 4096;

struct CgroupMount {
    std::string id;
    bool v2 = false;
    bool writable = false;
    std::string point;
    std::vector<std::string> controllers;  // v1
};

/// proc(5): blank, tab, newline and backslash are written as \ and three octal digits.
std::string unescape(std::string_view text) {
    std::string plain;
    const auto octal = [](char digit) { return digit >= '0' && digit <= '7'; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

/// proc(5): ID PARENT MAJOR:MINOR ROOT POINT OPTIONS TAGS... - TYPE SOURCE SUPER_OPTIONS
std::optional<CgroupMount> read_mount(const std::string& line) {
    const auto fields = split(line, ' ');
    const auto dash = std::ranges::find(fields, "-");
    if (fields.size() < 10 || dash - fields.begin() < 6 || fields.end() - dash < 4) {
        return std::nullopt;
    }
    CgroupMount mount;
    mount.v2 = dash[1] == "cgroup2";
    if (!mount.v2 && dash[1] != "cgroup") {
        return std::nullopt;
    }
    const auto read_only = [](const std::string& options) {
        const auto list = split(options, ',');
        return std::ranges::find(list, "ro") != list.end();
    };
    mount.writable = !read_only(fields[5]) && !read_only(dash[3]);
    mount.id = fields[0];
    mount.point = unescape(fields[4]);
    mount.controllers = split(dash[3], ',');
    return mount;
}

/// Whether its mount point leads to it: a mount stays in the list when another one hides it.
bool is_reachable(const CgroupMount& mount) {
    const UniqueFd directory(open(mount.point.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto info = read_file(cat("/proc/self/fdinfo/", directory.get()), kMaxText);
    const auto lines = info ? split(*info, '\n') : std::vector<std::string>();
    return directory && std::ranges::find(lines, "mnt_id:\t" + mount.id) != lines.end();
}

}  // namespace

CgroupLayout read_cgroup_layout(const std::string& mountinfo, const std::string& v2_controllers) {
    CgroupLayout layout;
    const auto v2_names = split(v2_controllers.substr(0, v2_controllers.find('\n')), ' ');
    for (const auto& line : split(mountinfo, '\n')) {
        const auto mount = read_mount(line);
        if (!mount || !mount->writable) {
            continue;
        }
        const auto& names = mount->v2 ? v2_names : mount->controllers;
        const auto place = [&](std::string_view name, std::optional<CgroupLayout::Controller>& where) {
            if (!where && std::ranges::find(names, name) != names.end()) {
                where = CgroupLayout::Controller{mount->v2, mount->point};
            }
        };
        place("memory", layout.memory);
        place("cpu", layout.cpu);
        place("pids", layout.pids);
    }
    return layout;
}

std::vector<CgroupSetting> cgroup_settings(bool v2, const CgroupLimits& limits, std::uint64_t page) {
    constexpr std::uint64_t kPeriod = 100'000;  // microseconds; the kernel's own choice
    const std::string none = v2 ? "max" : "-1";
    const std::string bytes = limits.memory ? std::to_string(*limits.memory / page * page) : none;
    const std::string quota = limits.cpu ? std::to_string(*limits.cpu * (kPeriod / 100)) : none;
    const std::string pids = limits.pids ? std::to_string(*limits.pids) : "max";
    std::vector<CgroupSetting> settings;
    if (v2) {
        settings.push_back({"memory.max", bytes, !limits.memory});
        settings.push_back({"memory.swap.max", limits.memory ? "0" : "max", true});
        settings.push_back({"memory.oom.group", limits.memory ? "1" : "0", true});
        settings.push_back({"cpu.max", cat(quota, " ", kPeriod), !limits.cpu});
    } else {
        settings.push_back({"memory.limit_in_bytes", bytes, !limits.memory});
        settings.push_back({"memory.memsw.limit_in_bytes", bytes, true});
        settings.push_back({"memory.kmem.tcp.limit_in_bytes", bytes, true});  // v2 counts it with all other memory
        if (limits.memory) {
            settings.push_back({"memory.swappiness", "0", true});  // for kernels that do not count swap
        }
        settings.push_back({"cpu.cfs_period_us", std::to_string(kPeriod), !limits.cpu});
        settings.push_back({"cpu.cfs_quota_us", quota, !limits.cpu});
    }
    settings.push_back({"pids.max", pids, !limits.pids});
    return settings;
}

Result<Cgroups> Cgroups::open(const std::string& instance) {
    const auto text = read_file("/proc/self/mountinfo", kMaxMountinfo);
    if (!text) {
        return text.error().in("cannot look for control groups");
    }
    std::string reachable;
    std::string v2_controllers;
    bool v2_found = false;
    for (const auto& line : split(*text, '\n')) {
        const auto mount = read_mount(line);
        if (!mount || !mount->writable || !is_reachable(*mount)) {
            continue;
        }
        reachable += line + "\n";
        if (mount->v2 && !v2_found) {
            v2_found = true;
            const auto names = read_file(mount->point + "/cgroup.controllers", kMaxText);
            v2_controllers = names ? *names : "";
        }
    }
    return Cgroups(instance, read_cgroup_layout(reachable, v2_controllers));
}

std::vector<std::string> Cgroups::missing(const CgroupLimits& limits) const {
    std::vector<std::string> names;
    if (limits.memory && !layout_.memory) {
        names.emplace_back("memory");
    }
    if (limits.cpu && !layout_.cpu) {
        names.emplace_back("cpu");
    }
    if (limits.pids && !layout_.pids) {
        names.emplace_back("pids");
    }
    return names;
}

}  // namespace viscum
