// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/leak.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <thread>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "netns/net_ns.h"
#include "tests/support/leak_network.h"
#include "tests/support/process_tree.h"

namespace viscum {
namespace {

constexpr Millis kPollInterval{50};

/// Where a symbolic link of /proc points to; empty when the process is gone.
std::string link_target(const std::string& path) {
    std::array<char, 4096> buffer{};
    const ssize_t length = readlink(path.c_str(), buffer.data(), buffer.size());
    return length > 0 ? std::string(buffer.data(), static_cast<std::size_t>(length)) : "";
}

std::string first_line(const std::string& path) {
    const auto text = read_file(path, 65'536);
    return text ? text->substr(0, text->find('\n')) : "";
}

struct ProcessSeen {
    std::string dir;  // "/proc/PID"
    std::string name;
};

/// All processes of this pid namespace but this one and its ancestors.
std::vector<ProcessSeen> processes() {
    std::set<std::string> own;
    for (pid_t pid = getpid(); pid != 0; pid = parent_of(pid)) {
        own.insert(std::to_string(pid));
    }
    std::vector<ProcessSeen> seen;
    const auto names = list_directory("/proc");
    for (const std::string& pid : names ? *names : std::vector<std::string>()) {
        if (!parse_decimal(pid, INT32_MAX) || own.contains(pid)) {
            continue;
        }
        std::string dir = "/proc/" + pid;
        std::string name = first_line(dir + "/comm");
        if (!name.empty()) {
            seen.push_back({std::move(dir), std::move(name)});
        }
    }
    return seen;
}

/// The kinds of descriptors: "socket:[123]" is a socket, a path is itself.
void add_descriptors(const ProcessSeen& process, Snapshot& lines) {
    const auto fds = list_directory(process.dir + "/fd");
    for (const std::string& fd : fds ? *fds : std::vector<std::string>()) {
        const std::string target = link_target(process.dir + "/fd/" + fd);
        const bool path = target.starts_with('/');
        lines.push_back(cat("descriptor of ", process.name, ": ", path ? target : target.substr(0, target.find(":["))));
    }
}

void add_mounts(const std::string& of, const std::string& dir, Snapshot& lines) {
    const auto text = read_file(dir + "/mountinfo", 4 * 1024 * 1024);
    for (const std::string& line : text ? split(*text, '\n') : std::vector<std::string>()) {
        const auto fields = split(line, ' ');
        const auto dash = std::ranges::find(fields, "-");
        if (fields.size() > 4 && std::distance(dash, fields.end()) > 1) {
            lines.push_back(cat("mount ", of, fields[4], " ", *(dash + 1)));
        }
    }
}

void add_processes(const std::vector<ProcessSeen>& seen, Snapshot& lines) {
    std::set<std::string> mount_namespaces = {link_target("/proc/self/ns/mnt")};
    add_mounts("", "/proc/self", lines);
    for (const ProcessSeen& process : seen) {
        lines.push_back("process " + process.name);
        if (process.name.starts_with("viscum")) {
            add_descriptors(process, lines);
        }
        if (mount_namespaces.insert(link_target(process.dir + "/ns/mnt")).second) {
            add_mounts(cat("(as ", process.name, " sees it) "), process.dir, lines);
        }
    }
}

std::string inode_text(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 ? cat("net:[", info.st_ino, "]") : "";
}

Status add_networks(const std::vector<ProcessSeen>& seen, Snapshot& lines) {
    const std::string own = link_target("/proc/self/ns/net");
    std::map<std::string, std::pair<Argv, std::string>> namespaces = {{own, {{}, "here"}}};
    const auto names = list_directory("/run/netns");
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        const std::string path = net_ns_path(name);
        if (NetNs::open(name)) {
            namespaces.try_emplace(inode_text(path), Argv{"nsenter", "--net=" + path}, name);
        }
    }
    for (const ProcessSeen& process : seen) {
        const std::string path = process.dir + "/ns/net";
        if (const std::string inode = link_target(path); !inode.empty()) {
            namespaces.try_emplace(inode, Argv{"nsenter", "--net=" + path}, cat("nameless, of ", process.name));
        }
    }
    for (const auto& [inode, found] : namespaces) {
        auto more = network_lines(found.first, found.second);
        if (!more) {
            return std::move(more).error();
        }
        std::ranges::move(*more, std::back_inserter(lines));
    }
    return {};
}

const char* kind_of(const std::filesystem::directory_entry& entry) {
    std::error_code ignored;
    switch (entry.symlink_status(ignored).type()) {
        case std::filesystem::file_type::directory: return "directory ";
        case std::filesystem::file_type::symlink: return "link ";
        case std::filesystem::file_type::socket: return "socket ";
        default: return "file ";
    }
}

void add_files(const std::string& directory, Snapshot& lines) {
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        lines.push_back(kind_of(*it) + it->path().string());
    }
}

void add_files_of_instances(const std::string& parent, Snapshot& lines) {
    const auto names = list_directory(parent);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        if (name.starts_with("viscum")) {
            lines.push_back(cat("directory ", parent, "/", name));
            add_files(cat(parent, "/", name), lines);
        }
    }
}

}  // namespace

/// The sandbox's own groups, in every hierarchy that is mounted.
void add_control_groups(Snapshot& lines) {
    std::error_code failure;
    std::filesystem::recursive_directory_iterator at("/sys/fs/cgroup", failure);
    for (; !failure && at != std::filesystem::recursive_directory_iterator(); at.increment(failure)) {
        if (at->is_directory(failure)) {
            lines.push_back("control group " + at->path().string());
        }
    }
}

Result<Snapshot> take_snapshot() {
    Snapshot lines;
    const auto seen = processes();
    add_processes(seen, lines);
    if (auto added = add_networks(seen, lines); !added) {
        return std::move(added).error();
    }
    add_control_groups(lines);
    add_files("/sys/fs/bpf", lines);
    add_files("/run", lines);
    add_files_of_instances("/etc", lines);
    add_files_of_instances("/var/lib", lines);
    // The place for names comes with the first of them and stays, as iproute2 has it.
    std::erase_if(lines, [](const std::string& line) {
        return line == "directory /run/netns" ||
               (line.starts_with("mount ") && line.find("/run/netns tmpfs") != line.npos);
    });
    std::ranges::sort(lines);
    return lines;
}

std::vector<std::string> difference(const Snapshot& before, const Snapshot& after) {
    std::vector<std::string> came;
    std::vector<std::string> went;
    std::ranges::set_difference(after, before, std::back_inserter(came));
    std::ranges::set_difference(before, after, std::back_inserter(went));
    std::vector<std::string> lines;
    for (const std::string& line : came) {
        lines.push_back("+ " + line);
    }
    for (const std::string& line : went) {
        lines.push_back("- " + line);
    }
    return lines;
}

Result<std::vector<std::string>> leaks_since(const Snapshot& before, std::chrono::milliseconds limit,
                                             const std::function<bool(const std::string& line)>& stays) {
    const BootTime deadline = boot_now() + limit;
    for (;;) {
        // A process that ends while it is looked at makes a command fail: that is no leak.
        auto now = take_snapshot();
        auto lines = now ? difference(before, *now) : std::vector<std::string>();
        std::erase_if(lines, stays);
        if ((now && lines.empty()) || boot_now() >= deadline) {
            return now ? Result<std::vector<std::string>>(std::move(lines)) : std::move(now).error();
        }
        std::this_thread::sleep_for(kPollInterval);
    }
}

bool is_state_of_viscumd(const std::string& line) {
    const auto has = [&line](const char* part) { return line.find(part) != std::string::npos; };
    return (line.starts_with("+ file /run/viscum") && has("/events.start")) ||
           (line.starts_with("+ file /var/lib/viscum") &&
            (has("/state.") || has("/events") || (has("/savings") && !has(".damaged"))));
}

bool viscumd_keeps(const std::string& line) {
    const bool state = is_state_of_viscumd(line);
    const bool log = line.starts_with("+ file /run/viscum") && line.find("/log/") != std::string::npos;
    return state || log || line.find(": qdisc clsact on ") != std::string::npos ||
           line == "- descriptor of viscumd: socket";
}

}  // namespace viscum
