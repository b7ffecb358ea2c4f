// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <memory>

#include "base/text.h"
#include "base/unique_fd.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxText = 1UL << 20;  // of a group's file; the longest is cgroup.procs
constexpr int kKillRounds = 8;

/// One mounted hierarchy, and which of the limits' controllers live there.
struct Hierarchy {
    bool v2 = false;
    std::string mount;
    bool memory = false;
    bool cpu = false;
    bool pids = false;
};

std::vector<Hierarchy> hierarchies(const CgroupLayout& layout) {
    std::vector<Hierarchy> found;
    const auto add = [&found](const std::optional<CgroupLayout::Controller>& where, bool Hierarchy::*which) {
        if (!where) {
            return;
        }
        auto at = std::ranges::find(found, where->mount, &Hierarchy::mount);
        if (at == found.end()) {
            at = found.insert(at, Hierarchy{where->v2, where->mount});
        }
        (*at).*which = true;
    };
    add(layout.memory, &Hierarchy::memory);
    add(layout.cpu, &Hierarchy::cpu);
    add(layout.pids, &Hierarchy::pids);
    return found;
}

/// The limits that a hierarchy keeps.
CgroupLimits limits_in(const Hierarchy& hierarchy, const CgroupLimits& limits) {
    CgroupLimits here;
    if (hierarchy.memory) {
        here.memory = limits.memory;
    }
    if (hierarchy.cpu) {
        here.cpu = limits.cpu;
    }
    if (hierarchy.pids) {
        here.pids = limits.pids;
    }
    return here;
}

// --- Directories and files of groups ---

UniqueFd open_directory(int at, const std::string& name) {
    return UniqueFd(openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

/// A group's directories, from the hierarchy's root down; invalid from the first that is not there.
struct Group {
    UniqueFd root, instance, own;
    int problem = 0;  // why one of them is not open, unless it is not there

    Group(const Hierarchy& hierarchy, const std::string& of, const std::string& name)
        : root(::open(hierarchy.mount.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
        if (root) {
            instance = open_directory(root.get(), of);
        }
        if (instance) {
            own = open_directory(instance.get(), name);
        }
        problem = own || errno == ENOENT ? 0 : errno;
    }
};

Result<std::string> read_text(int group, const std::string& name) {
    const UniqueFd file(openat(group, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) {
        return errno_error(cat("cannot open ", name));
    }
    std::string text;
    std::array<char, 4096> part{};
    ssize_t got = 0;
    while (text.size() < kMaxText && (got = read(file.get(), part.data(), part.size())) > 0) {
        text.append(part.data(), static_cast<std::size_t>(got));
    }
    if (got < 0) {
        return errno_error(cat("cannot read ", name));
    }
    return text;
}

Status write_text(int group, const std::string& name, const std::string& text) {
    const UniqueFd file(openat(group, name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file || write(file.get(), text.data(), text.size()) < 0) {
        return errno_error(cat("cannot write '", text, "' to ", name));
    }
    return {};
}

std::uint64_t number_at_start(std::string_view text) {
    const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
    return parse_decimal(text.substr(0, end), UINT64_MAX).value_or(0);
}

/// A file that holds one number; 0 where there is none.
std::uint64_t read_number(int group, const std::string& name) {
    const auto text = read_text(group, name);
    return text ? number_at_start(*text) : 0;
}

/// The number in the line "KEY NUMBER"; 0 where there is none.
std::uint64_t read_number(int group, const std::string& name, const std::string& key) {
    const auto text = read_text(group, name);
    for (const auto& line : text ? split(*text, '\n') : std::vector<std::string>()) {
        if (line.starts_with(key + " ")) {
            return number_at_start(std::string_view(line).substr(key.size() + 1));
        }
    }
    return 0;
}

// --- Limits ---

/// v1 shows no limit as the most pages that a `long` counts: 2^63 less a page, and 2^43 less a page on 32 bits.
constexpr std::uint64_t kBytesWithoutLimit = 1ULL << 42;

bool reads_as(const std::string& text, const CgroupSetting& setting) {
    const std::string_view line = std::string_view(text).substr(0, text.find('\n'));
    return line == setting.value || (setting.value == "-1" && number_at_start(line) >= kBytesWithoutLimit);
}

Status set(int group, const CgroupSetting& setting) {
    const auto now = read_text(group, setting.file);
    if (!now && now.error().errno_code == ENOENT) {
        return setting.optional ? Status() : Error{ENOENT, cat("this kernel has no ", setting.file)};
    }
    if (now && reads_as(*now, setting)) {
        return {};
    }
    return write_text(group, setting.file, setting.value);
}

/// Twice, as v1 has an order: memory.limit_in_bytes cannot be raised above memsw's, nor memsw's lowered below it.
Status set_all(int group, const std::vector<CgroupSetting>& settings) {
    std::vector<const CgroupSetting*> again;
    for (const auto& setting : settings) {
        if (!set(group, setting)) {
            again.push_back(&setting);
        }
    }
    for (const auto* setting : again) {
        if (auto done = set(group, *setting); !done) {
            return done;
        }
    }
    return {};
}

/// v2: the children of `group` get the controllers that `limits` need.
Status hand_down(int group, const std::string& path, const CgroupLimits& limits) {
    const auto enabled = read_text(group, "cgroup.subtree_control");
    if (!enabled) {
        return enabled.error().in(path);
    }
    const auto names = split(enabled->substr(0, enabled->find('\n')), ' ');
    std::string wanted;
    const auto want = [&](bool limited, std::string_view name) {
        if (limited && std::ranges::find(names, name) == names.end()) {
            wanted += cat(wanted.empty() ? "+" : " +", name);
        }
    };
    want(limits.memory.has_value(), "memory");
    want(limits.cpu.has_value(), "cpu");
    want(limits.pids.has_value(), "pids");
    if (wanted.empty()) {
        return {};
    }
    auto done = write_text(group, "cgroup.subtree_control", wanted);
    if (!done && done.error().errno_code == EBUSY) {
        // As in a container whose processes sit in the very group that it sees as the root.
        return std::move(done).error().in(
            cat("the processes in the control group '", path, "' itself must be moved into a child of it"));
    }
    return done ? Status() : std::move(done).error().in(path);
}

/// Opens a child group, and makes it where it is not there.
Result<UniqueFd> open_or_make(int parent, const std::string& name, const std::string& path, bool* is_new) {
    UniqueFd group = open_directory(parent, name);
    if (!group && errno == ENOENT) {
        if (mkdirat(parent, name.c_str(), 0755) < 0) {
            return errno_error(cat("cannot make the control group '", path, "'"));
        }
        *is_new = true;
        group = open_directory(parent, name);
    }
    if (!group) {
        return errno_error(cat("cannot open the control group '", path, "'"));
    }
    return group;
}

/// In one hierarchy. `is_new` also where it fails.
Status make_in(const Hierarchy& hierarchy, const std::string& instance, const std::string& name,
               const CgroupLimits& limits, bool* is_new) {
    const UniqueFd root(::open(hierarchy.mount.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) {
        return errno_error(cat("cannot open '", hierarchy.mount, "'"));
    }
    if (hierarchy.v2) {
        if (auto done = hand_down(root.get(), hierarchy.mount, limits); !done) {
            return done;
        }
    }
    const std::string parent_path = cat(hierarchy.mount, "/", instance);
    bool parent_is_new = false;
    const auto parent = open_or_make(root.get(), instance, parent_path, &parent_is_new);
    if (!parent) {
        return parent.error();
    }
    *is_new = parent_is_new;
    if (hierarchy.v2) {
        if (auto done = hand_down(parent->get(), parent_path, limits); !done) {
            return done;
        }
    }
    const std::string path = cat(parent_path, "/", name);
    const auto group = open_or_make(parent->get(), name, path, is_new);
    if (!group) {
        return group.error();
    }
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    auto done = set_all(group->get(), cgroup_settings(hierarchy.v2, limits, page));
    return done ? Status() : std::move(done).error().in(cat("cannot limit '", path, "'"));
}

// --- The end of a group ---

std::vector<pid_t> pids_in(int group) {
    std::vector<pid_t> pids;
    const auto text = read_text(group, "cgroup.procs");
    for (const auto& line : text ? split(*text, '\n') : std::vector<std::string>()) {
        // 0 stands for a process that this pid namespace does not know.
        if (const auto pid = parse_decimal(line, INT_MAX); pid && *pid > 0) {
            pids.push_back(static_cast<pid_t>(*pid));
        }
    }
    return pids;
}

/// SIGKILL to all of a group. A pid is sent a signal only after its descriptor was opened and it was seen in the group
/// once more, so that none that was given to another process in between is ever meant.
void end_processes(const Group& group) {
    std::vector<pid_t> pids = pids_in(group.own.get());
    if (pids.empty() || write_text(group.own.get(), "cgroup.kill", "1")) {  // v2 since 5.14
        return;
    }
    for (int round = 0; round < kKillRounds && !pids.empty(); ++round) {
        std::vector<std::pair<pid_t, UniqueFd>> opened;
        for (const pid_t pid : pids) {
            opened.emplace_back(pid, UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))));
        }
        pids = pids_in(group.own.get());
        for (const auto& [pid, pidfd] : opened) {
            if (pidfd && std::ranges::find(pids, pid) != pids.end()) {
                syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
            }
        }
        pids = pids_in(group.own.get());
    }
}

Status remove_from(const Hierarchy& hierarchy, const std::string& instance, const std::string& name) {
    const Group group(hierarchy, instance, name);
    if (group.problem != 0) {
        return errno_error(cat("cannot open the control group '", hierarchy.mount, "/", instance, "/", name, "'"),
                           group.problem);
    }
    if (group.own) {
        end_processes(group);
    }
    if (group.instance && unlinkat(group.instance.get(), name.c_str(), AT_REMOVEDIR) < 0 && errno != ENOENT) {
        const int code = errno;
        const bool empty = pids_in(group.own.get()).empty();
        const char* const why = code != EBUSY ? ""
                                : empty       ? ", in which there is another group"
                                              : ", of which processes have not ended";
        return errno_error(
            cat("cannot remove the control group '", hierarchy.mount, "/", instance, "/", name, "'", why), code);
    }
    // EBUSY and ENOTEMPTY: other services are in it.
    if (group.root && unlinkat(group.root.get(), instance.c_str(), AT_REMOVEDIR) < 0 && errno != ENOENT &&
        errno != EBUSY && errno != ENOTEMPTY) {
        return errno_error(cat("cannot remove '", hierarchy.mount, "/", instance, "'"));
    }
    return {};
}

}  // namespace

Status Cgroups::make(const std::string& name, const CgroupLimits& limits) const {
    std::vector<Hierarchy> made;
    for (const auto& hierarchy : hierarchies(layout_)) {
        const CgroupLimits here = limits_in(hierarchy, limits);
        if (here == CgroupLimits{} && !Group(hierarchy, instance_, name).own) {
            continue;
        }
        bool is_new = false;
        auto done = make_in(hierarchy, instance_, name, here, &is_new);
        if (is_new) {
            made.push_back(hierarchy);
        }
        if (!done) {
            for (const auto& one : made) {
                (void)remove_from(one, instance_, name);  // the first error is the one to tell
            }
            return done;
        }
    }
    return {};
}

std::vector<std::string> Cgroups::join_files(const std::string& name) const {
    std::vector<std::string> files;
    for (const auto& hierarchy : hierarchies(layout_)) {
        if (Group(hierarchy, instance_, name).own) {
            // A whole process is moved at an instant when none of the machine forks, for which the kernel waits 5 to 20
            // ms; a single thread that moves itself need not wait (kernel/cgroup/cgroup.c: cgroup_procs_write_start).
            // v2 knows no groups of threads here.
            files.push_back(cat(hierarchy.mount, "/", instance_, "/", name, hierarchy.v2 ? "/cgroup.procs" : "/tasks"));
        }
    }
    return files;
}

bool Cgroups::exists(const std::string& name) const {
    return !join_files(name).empty();
}

Status Cgroups::remove(const std::string& name) const {
    Status result;
    for (const auto& hierarchy : hierarchies(layout_)) {
        if (auto done = remove_from(hierarchy, instance_, name); !done && result) {
            result = std::move(done);
        }
    }
    return result;
}

CgroupEvents Cgroups::events(const std::string& name) const {
    CgroupEvents events;
    for (const auto& hierarchy : hierarchies(layout_)) {
        const Group group(hierarchy, instance_, name);
        const int own = group.own.get();
        if (own < 0) {
            continue;
        }
        if (hierarchy.memory) {
            events.oom_kills = read_number(own, hierarchy.v2 ? "memory.events" : "memory.oom_control", "oom_kill");
            events.memory_now = read_number(own, hierarchy.v2 ? "memory.current" : "memory.usage_in_bytes");
        }
        if (hierarchy.pids) {
            events.forks_refused = read_number(own, "pids.events", "max");
            events.pids_now = read_number(own, "pids.current");
        }
        if (hierarchy.v2) {  // counted with and without the cpu controller
            events.cpu_used = read_number(own, "cpu.stat", "usage_usec");
        } else if (hierarchy.cpu) {
            events.cpu_used = read_number(own, "cpuacct.usage") / 1000;
        }
    }
    return events;
}

std::vector<std::string> Cgroups::lost(const std::string& name, const CgroupLimits& limits) const {
    std::vector<std::string> names;
    for (const auto& hierarchy : hierarchies(layout_)) {
        const CgroupLimits here = limits_in(hierarchy, limits);
        if (here == CgroupLimits{} || Group(hierarchy, instance_, name).own) {
            continue;
        }
        if (here.memory) {
            names.emplace_back("memory");
        }
        if (here.cpu) {
            names.emplace_back("cpu");
        }
        if (here.pids) {
            names.emplace_back("pids");
        }
    }
    return names;
}

Result<std::vector<std::string>> Cgroups::names() const {
    std::vector<std::string> names;
    for (const auto& hierarchy : hierarchies(layout_)) {
        const std::string path = cat(hierarchy.mount, "/", instance_);
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
        if (!directory) {
            if (errno == ENOENT) {
                continue;
            }
            return errno_error(cat("cannot read the control group '", path, "'"));
        }
        while (const dirent* entry = readdir(directory.get())) {
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                names.emplace_back(entry->d_name);
            }
        }
    }
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

}  // namespace viscum
