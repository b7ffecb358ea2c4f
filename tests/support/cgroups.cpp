// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/cgroups.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>
#include <iterator>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::string_view kPrefix = "viscum-test-";

/// The mount points of the hierarchies that limits may need.
std::vector<std::string> hierarchy_mounts() {
    constexpr std::array kControllers = {"memory", "cpu", "cpuacct", "pids"};
    std::vector<std::string> mounts;
    const auto text = read_file("/proc/self/mountinfo", 16UL << 20);
    for (const auto& line : text ? split(*text, '\n') : std::vector<std::string>()) {
        const auto fields = split(line, ' ');
        const auto dash = std::ranges::find(fields, "-");
        if (std::distance(dash, fields.end()) < 4 || (dash[1] != "cgroup2" && dash[1] != "cgroup")) {
            continue;
        }
        const auto options = split(dash[3], ',');
        const bool needed = dash[1] == "cgroup2" || std::ranges::find_first_of(options, kControllers) != options.end();
        if (needed && std::ranges::find(mounts, fields[4]) == mounts.end()) {
            mounts.push_back(fields[4]);
        }
    }
    return mounts;
}

/// A group and those below it; what has a process in it stays.
void remove_group(const std::string& path) {
    std::error_code gone;
    for (std::filesystem::directory_iterator it(path, gone), end; !gone && it != end; it.increment(gone)) {
        std::error_code ignored;
        if (it->is_directory(ignored)) {
            remove_group(it->path().string());
        }
    }
    rmdir(path.c_str());
}

void remove_groups_of_the_dead(const std::string& mount) {
    std::vector<std::string> found;
    std::error_code gone;
    for (std::filesystem::directory_iterator it(mount, gone), end; !gone && it != end; it.increment(gone)) {
        const std::string name = it->path().filename().string();
        if (!name.starts_with(kPrefix)) {
            continue;
        }
        const auto pid = parse_decimal(std::string_view(name).substr(kPrefix.size()), INT_MAX);
        if (pid && *pid > 0 && kill(static_cast<pid_t>(*pid), 0) < 0 && errno == ESRCH) {
            found.push_back(it->path().string());
        }
    }
    for (const auto& path : found) {
        remove_group(path);
    }
}

}  // namespace

TestGroups::TestGroups() : name_(cat(kPrefix, getpid())) {
    for (auto& mount : hierarchy_mounts()) {
        remove_groups_of_the_dead(mount);
        const bool made = mkdir(cat(mount, "/", name_).c_str(), 0755) == 0;
        hierarchies_.push_back({std::move(mount), made});
    }
}

TestGroups::~TestGroups() {
    for (const auto& hierarchy : hierarchies_) {
        if (hierarchy.has_group) {
            remove_group(cat(hierarchy.mount, "/", name_));
        }
    }
}

Status TestGroups::take_the_place_of_hierarchies() const {
    for (const auto& [mount_point, has_group] : hierarchies_) {
        const std::string group = cat(mount_point, "/", name_);
        if (has_group && mount(group.c_str(), mount_point.c_str(), nullptr, MS_BIND, nullptr) < 0) {
            return errno_error(cat("cannot mount on ", mount_point));
        }
        // EINVAL and ENOENT: it is out of sight already.
        if (!has_group && umount2(mount_point.c_str(), MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT) {
            return errno_error(cat("cannot unmount ", mount_point));
        }
    }
    return {};
}

}  // namespace viscum
