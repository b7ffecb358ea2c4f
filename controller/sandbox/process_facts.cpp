// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string_view>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/sandbox/audit.h"

namespace viscum {
namespace {

constexpr std::size_t kMostBytes = 4U << 20;  // of a mountinfo
constexpr std::size_t kMostDevices = 32;      // that are named
constexpr int kMostDepth = 3;                 // of directories in /dev

Result<std::string> read_at(int directory, const char* name) {
    const UniqueFd file(openat(directory, name, O_RDONLY | O_CLOEXEC));
    if (!file) {
        return errno_error(name);
    }
    std::string bytes;
    std::array<char, 8192> part;
    while (true) {
        const auto got = read(file.get(), part.data(), part.size());
        if (got < 0 && errno != EINTR) {
            return errno_error(name);
        }
        if (got == 0) {
            return bytes;
        }
        if (got > 0) {
            bytes.append(part.data(), static_cast<std::size_t>(got));
        }
        if (bytes.size() > kMostBytes) {
            return errno_error(name, EFBIG);
        }
    }
}

/// What follows `label` on the line that begins with it; empty where there is none.
std::string_view after(std::string_view text, std::string_view label) {
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        if (line.starts_with(label)) {
            return line.substr(label.size());
        }
        at = end + 1;
    }
    return {};
}

std::uint64_t number(std::string_view text, int base) {
    return std::strtoull(std::string(text).c_str(), nullptr, base);
}

Status read_status(int process, ProcessFacts& facts) {
    const auto text = read_at(process, "status");
    if (!text) {
        return text.error();
    }
    add_status(*text, facts);
    return {};
}

/// A kernel that has no such namespace shares it between all.
Status read_namespaces(int process, ProcessFacts& facts) {
    for (const std::string name : {"mnt", "pid", "ipc", "uts", "net", "cgroup"}) {
        struct stat own {};
        struct stat other {};
        if (stat(cat("/proc/self/ns/", name).c_str(), &own) != 0) {
            facts.shared_namespaces.push_back(name);
            continue;
        }
        if (fstatat(process, cat("ns/", name).c_str(), &other, 0) != 0) {
            return errno_error(cat("ns/", name));
        }
        if (own.st_ino == other.st_ino && own.st_dev == other.st_dev) {
            facts.shared_namespaces.push_back(name);
        }
    }
    return {};
}

/// A line of mountinfo, as far as it matters here.
struct MountLine {
    std::string root;     // within its filesystem
    std::string place;    // as the process sees it
    std::string type;     // "proc"
    std::string options;  // of the filesystem, not of this mount
};

std::vector<MountLine> read_mounts(std::string_view mountinfo) {
    std::vector<MountLine> mounts;
    for (const auto& line : split(mountinfo, '\n')) {
        const auto fields = split_words(line);
        const auto dash = std::find(fields.begin(), fields.end(), "-");  // behind a number of optional fields
        if (fields.size() > 6 && fields.end() - dash > 3) {
            mounts.push_back({fields[3], fields[4], dash[1], dash[3]});
        }
    }
    return mounts;
}

/// Whether a mount of proc shows the processes of other users, or files that are neither a process's nor hidden.
bool shows_all(const MountLine& proc, const std::vector<MountLine>& mounts) {
    bool hides = false;
    bool masked = false;
    for (const auto& option : split(proc.options, ',')) {
        hides = hides || (option.starts_with("hidepid=") && option != "hidepid=0" && option != "hidepid=off");
        masked = masked || option == "subset=pid";
    }
    for (const auto& mount : mounts) {
        masked = masked || mount.place.starts_with(proc.place + "/");
    }
    return !hides || !masked;
}

struct CloseDirectory {
    void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

/// A directory of the process's root; a symbolic link is none, so that nothing outside is ever looked at.
Directory open_directory(int parent, const char* name) {
    UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    Directory directory(fd ? fdopendir(fd.get()) : nullptr);
    if (directory) {
        static_cast<void>(fd.release());  // the stream's from here on
    }
    return directory;
}

const char* next_name(const Directory& directory) {
    while (const auto* entry = readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            return entry->d_name;
        }
    }
    return nullptr;
}

void add_devices(int parent, const char* name, const std::string& prefix, int depth,
                 std::vector<std::string>& devices) {
    constexpr std::array<std::string_view, 6> kHarmless{"null", "zero", "full", "random", "urandom", "tty"};
    const auto directory = open_directory(parent, name);
    while (const char* const entry = directory ? next_name(directory) : nullptr) {
        struct stat status {};
        const std::string path = prefix + entry;
        if (fstatat(dirfd(directory.get()), entry, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            devices.size() >= kMostDevices) {
            continue;
        }
        if (S_ISDIR(status.st_mode) && depth < kMostDepth) {
            add_devices(dirfd(directory.get()), entry, path + '/', depth + 1, devices);
        }
        if ((S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) &&
            std::find(kHarmless.begin(), kHarmless.end(), path) == kHarmless.end()) {
            devices.push_back(path);
        }
    }
}

Status read_root(int process, ProcessFacts& facts) {
    const auto mountinfo = read_at(process, "mountinfo");
    if (!mountinfo) {
        return mountinfo.error();
    }
    const UniqueFd root(openat(process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statvfs flags {};
    if (!root || fstatvfs(root.get(), &flags) != 0) {
        return errno_error("root");
    }
    facts.root_writable = (flags.f_flag & ST_RDONLY) == 0;
    const auto sys = open_directory(root.get(), "sys");
    facts.sees_sys = sys && next_name(sys) != nullptr;
    add_mounts(*mountinfo, facts);
    add_devices(root.get(), "dev", "", 1, facts.devices);
    std::sort(facts.devices.begin(), facts.devices.end());
    return {};
}

Status read_limits(int process, ProcessFacts& facts) {
    const auto text = read_at(process, "limits");
    if (!text) {
        return text.error();
    }
    // A program that core_pattern names gets a core at any limit but 1 (core(5)), and a file is as good as at any
    // other: too small for the first page.
    const auto pattern = read_file("/proc/sys/kernel/core_pattern", 4096);
    add_limits(*text, !pattern || pattern->starts_with('|'), facts);
    return {};
}

}  // namespace

void add_status(std::string_view status, ProcessFacts& facts) {
    // Real, effective, saved and of the filesystem: a process is root as long as one of them is.
    const auto identity = [&](std::string_view label) {
        const auto ids = split(after(status, label), '\t');
        const bool root = std::find(ids.begin(), ids.end(), "0") != ids.end();
        return root || ids.size() < 2 ? 0U : static_cast<unsigned>(number(ids[1], 10));
    };
    facts.uid = identity("Uid:\t");
    facts.gid = identity("Gid:\t");
    for (const auto* const set : {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t", "CapAmb:\t"}) {
        facts.capabilities |= number(after(status, set), 16);
    }
    facts.no_new_privs = after(status, "NoNewPrivs:\t") == "1";
    facts.seccomp = after(status, "Seccomp:\t") == "2";  // 1 is the strict mode, which nothing off the shelf runs in
}

void add_mounts(std::string_view mountinfo, ProcessFacts& facts) {
    const auto mounts = read_mounts(mountinfo);
    for (const auto& mount : mounts) {
        facts.sees_sys = facts.sees_sys || mount.type == "sysfs";
        // Only whole ones: what the shim makes read-only in its /proc is a mount of proc as well.
        facts.sees_processes =
            facts.sees_processes || (mount.type == "proc" && mount.root == "/" && shows_all(mount, mounts));
    }
}

void add_limits(std::string_view limits, bool piped, ProcessFacts& facts) {
    constexpr auto kUnlimited = std::numeric_limits<std::uint64_t>::max();
    const auto limit = [&](std::string_view label, std::size_t column) {
        const auto columns = split_words(after(limits, label));
        return columns.size() <= column || columns[column] == "unlimited" ? kUnlimited : number(columns[column], 10);
    };
    facts.open_files = limit("Max open files", 1);
    const auto soft = limit("Max core file size", 0);
    const auto hard = limit("Max core file size", 1);
    facts.core_dumps = hard > 1 || (piped && soft != 1);
}

Result<ProcessFacts> read_process_facts(pid_t pid) {
    // By this descriptor it is one and the same process throughout, or none any more.
    const UniqueFd process(open(cat("/proc/", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ProcessFacts facts;
    Status status = process ? Status() : Status(errno_error("open"));
    for (const auto read : {read_status, read_namespaces, read_root, read_limits}) {
        status = status ? read(process.get(), facts) : std::move(status);
    }
    if (status) {
        return facts;
    }
    const int code = status.error().errno_code;
    if (code == ENOENT || code == ESRCH) {
        return Error{ESRCH, cat("process ", pid, " has ended")};
    }
    return std::move(status).error().in(cat("cannot look at process ", pid));
}

}  // namespace viscum
