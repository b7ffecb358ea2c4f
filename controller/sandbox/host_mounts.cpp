// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "base/text.h"
#include "controller/sandbox/sandbox.h"

namespace viscum {
namespace {

/// Filesystems whose files are the kernel's, or some user's (fuse), not the host's.
constexpr std::array<std::string_view, 25> kForeign = {
    "proc",        "sysfs",      "cgroup",    "cgroup2",   "devtmpfs",   "devpts", "bpf",     "tracefs",  "debugfs",
    "securityfs",  "pstore",     "mqueue",    "hugetlbfs", "autofs",     "nsfs",   "fusectl", "configfs", "efivarfs",
    "binfmt_misc", "rpc_pipefs", "selinuxfs", "resctrl",   "functionfs", "fuse",   "nfsd"};

/// Where files of the kernel's and of other services are, whatever is mounted there.
constexpr std::array<std::string_view, 4> kClosed = {"/proc", "/sys", "/dev", "/run"};

struct Mount {
    std::string id;
    std::string parent;
    std::string path;
    std::string type;
};

/// proc(5): blank, tab, newline and backslash are \NNN, in octal.
std::string unescape(std::string_view text) {
    std::string out;
    const auto digit = [&text](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// "ID PARENT DEVICE ROOT PATH OPTIONS [FIELD...] - TYPE SOURCE OPTIONS"
std::vector<Mount> parse(const std::string& mountinfo) {
    std::vector<Mount> mounts;
    for (const auto& line : split(mountinfo, '\n')) {
        const auto words = split(line, ' ');
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (dash - words.begin() < 6 || words.end() - dash < 2) {
            continue;
        }
        mounts.push_back({words[0], words[1], unescape(words[4]), *(dash + 1)});
    }
    return mounts;
}

bool is_below(const std::string& path, std::string_view top) {
    return top == "/" ? path != "/" : path.size() > top.size() && path.starts_with(top) && path[top.size()] == '/';
}

/// Whether a look-up of the mount's path leads to it: neither it nor what it is mounted on is covered by another.
bool is_seen(const Mount& mount, const std::vector<Mount>& mounts) {
    const Mount* at = &mount;
    const Mount* from = nullptr;
    for (std::size_t depth = 0; depth <= mounts.size(); ++depth) {
        const Mount* parent = nullptr;
        for (const auto& other : mounts) {
            const bool on_its_root = other.parent == at->id && other.path == at->path && &other != at && &other != from;
            const bool on_the_way = other.parent == at->parent && other.id != at->id && is_below(at->path, other.path);
            if (on_its_root || on_the_way) {
                return false;
            }
            parent = other.id == at->parent && other.id != at->id ? &other : parent;
        }
        if (parent == nullptr) {
            return true;
        }
        from = at;
        at = parent;
    }
    return false;
}

bool holds_files(const Mount& mount) {
    const bool fuse = mount.type.starts_with("fuse.") && mount.type != "fuseblk";
    return !fuse && std::find(kForeign.begin(), kForeign.end(), mount.type) == kForeign.end() &&
           std::none_of(kClosed.begin(), kClosed.end(), [&mount](std::string_view closed) {
               return mount.path == closed || is_below(mount.path, closed);
           });
}

}  // namespace

std::vector<HostMount> read_host_mounts(const std::string& mountinfo) {
    const std::vector<Mount> mounts = parse(mountinfo);
    std::map<std::string, std::string> seen;
    for (const auto& mount : mounts) {
        if (mount.path != "/" && holds_files(mount) && is_seen(mount, mounts)) {
            seen.emplace(mount.path, mount.type);
        }
    }
    std::vector<HostMount> out;
    for (const auto& [path, type] : seen) {
        out.push_back({path, type});
    }
    return out;
}

}  // namespace viscum
