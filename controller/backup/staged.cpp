// SPDX-License-Identifier: GPL-2.0-only
#include "controller/backup/staged.h"

#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string_view>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

namespace {

constexpr std::string_view kStaging = "restore";
constexpr std::string_view kDry = "restore-dry.";

bool is_forgotten(std::string_view name) {
    if (!name.starts_with(kDry)) {
        return name == kStaging;
    }
    const auto process = parse_decimal(name.substr(kDry.size()), INT32_MAX);
    return process && kill(static_cast<pid_t>(*process), 0) != 0 && errno == ESRCH;
}

}  // namespace

std::string staging_directory(const Instance& instance) {
    return cat(instance.state_dir(), '/', kStaging);
}

std::string dry_staging_directory(const Instance& instance, pid_t process) {
    return cat(instance.state_dir(), '/', kDry, process);
}

Status remove_forgotten_staged(const Instance& instance) {
    const auto names = list_directory(instance.state_dir());
    for (const auto& name : names ? *names : std::vector<std::string>()) {
        if (auto removed = is_forgotten(name) ? remove_staged(cat(instance.state_dir(), '/', name)) : Status();
            !removed) {
            return removed;
        }
    }
    return names ? Status() : Status(names.error());
}

Status remove_staged(const std::string& dir) {
    const auto names = list_directory(dir);
    for (const auto& name : names ? *names : std::vector<std::string>()) {
        const std::string path = cat(dir, '/', name);
        struct stat info {};
        const bool is_directory = lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
        if (auto removed = is_directory ? remove_staged(path) : remove_file(path); !removed) {
            return removed;
        }
    }
    return names ? remove_directory(dir) : Status(names.error());
}

}  // namespace viscum
