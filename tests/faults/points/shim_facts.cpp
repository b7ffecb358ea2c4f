// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/shim_facts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kMost = 1UL << 20;
using Lines = std::vector<std::string>;

/// Two versions of a service differ in the number of their slot.
std::string without_slot(std::string text) {
    for (std::size_t at = 0; (at = text.find(".1", at)) != std::string::npos; ++at) {
        if (at > 3 && text.compare(at - 4, 4, "/web") == 0) {
            text[at + 1] = '0';
        }
    }
    return text;
}

Lines lines_of(const std::string& path) {
    const auto text = read_file(path, kMost);
    Lines lines;
    for (const std::string& line : split(text ? *text : "", '\n')) {
        if (!line.empty()) {
            lines.push_back(without_slot(line));
        }
    }
    return lines;
}

std::string link_target(const std::string& path) {
    std::array<char, 4096> buffer{};
    const ssize_t length = readlink(path.c_str(), buffer.data(), buffer.size());
    return length > 0 ? std::string(buffer.data(), static_cast<std::size_t>(length)) : "nothing";
}

/// "MOUNT ROOT PLACE OPTIONS TYPE OPTIONS": without numbers, which the kernel gives out anew.
void add_mounts(const std::string& dir, Lines& lines) {
    for (const std::string& line : lines_of(dir + "/mountinfo")) {
        const auto words = split(line, ' ');
        const auto dash = std::ranges::find(words, "-");
        if (words.size() > 6 && words.end() - dash > 3) {
            // The flags of propagation are between the two.
            Lines flags(words.begin() + 6, dash);
            std::ranges::transform(flags, flags.begin(),
                                   [](const std::string& flag) { return flag.substr(0, flag.find(':')); });
            lines.push_back(cat("mount ", words[3], " ", words[4], " ", words[5], " ", join(flags, " "), " ", dash[1],
                                " ", dash[3]));
        }
    }
}

void add_namespaces(const std::string& dir, Lines& lines) {
    for (const char* const name : {"mnt", "pid", "ipc", "uts", "net", "cgroup", "user"}) {
        const bool shared = link_target(cat(dir, "/ns/", name)) == link_target(cat("/proc/self/ns/", name));
        lines.push_back(cat("namespace ", name, shared ? ": shared" : ": its own"));
    }
}

/// Sockets are the program's own.
void add_descriptors(const std::string& dir, Lines& lines) {
    const auto fds = list_directory(dir + "/fd");
    for (const std::string& fd : fds ? *fds : Lines()) {
        const std::string target = link_target(cat(dir, "/fd/", fd));
        if (!target.starts_with("socket:")) {
            lines.push_back(cat("descriptor ", fd, ": ", without_slot(target.substr(0, target.find(":[")))));
        }
    }
}

/// Who leads its session and group: fields 5 and 6 of proc(5)'s stat.
void add_session(const std::string& dir, pid_t pid, Lines& lines) {
    const auto stat = read_file(dir + "/stat", kMost);
    const auto behind = stat ? stat->rfind(") ") : std::string::npos;
    const auto words = split(behind == std::string::npos ? "" : stat->substr(behind + 2), ' ');
    if (words.size() > 3) {
        lines.push_back(cat("leads its group: ", words[2] == std::to_string(pid),
                            ", its session: ", words[3] == std::to_string(pid)));
    }
}

Lines facts(pid_t pid) {
    const std::string dir = cat("/proc/", pid);
    const auto status = read_file(dir + "/status", kMost);
    if (!status) {
        return {};
    }
    Lines lines = rights(*status);
    add_namespaces(dir, lines);
    add_descriptors(dir, lines);
    add_mounts(dir, lines);
    for (const char* const file : {"limits", "cgroup", "oom_score_adj"}) {
        for (const std::string& line : lines_of(cat(dir, "/", file))) {
            lines.push_back(cat(file, " ", line));
        }
    }
    lines.push_back(cat("works in ", link_target(dir + "/cwd"), " of ", link_target(dir + "/root")));
    add_session(dir, pid, lines);
    return lines;
}

}  // namespace

std::vector<std::string> rights(std::string_view status) {
    constexpr std::array kTold{"Uid:",    "Gid:",   "Groups:", "CapInh:",     "CapPrm:",  "CapEff:",         "CapBnd:",
                               "CapAmb:", "Umask:", "SigBlk:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:"};
    Lines lines;
    for (std::string& line : split(status, '\n')) {
        if (std::ranges::any_of(kTold, [&](const char* name) { return line.starts_with(name); })) {
            lines.push_back(std::move(line));
        }
    }
    std::ranges::sort(lines);
    return lines;
}

std::vector<std::string> service_facts(pid_t pid) {
    Lines lines = facts(pid);
    if (!lines.empty()) {
        struct stat owner {};
        // Root's where it must not be looked into.
        const bool known = stat(cat("/proc/", pid, "/environ").c_str(), &owner) == 0;
        lines.push_back(cat("memory of ", known ? std::to_string(owner.st_uid) : "nobody"));
        const auto variables = read_file(cat("/proc/", pid, "/environ"), kMost);
        for (const std::string& variable : split(variables ? *variables : "", '\0')) {
            lines.push_back("variable " + variable);
        }
    }
    std::ranges::sort(lines);
    return lines;
}

std::vector<std::string> shim_facts(pid_t pid) {
    Lines lines = facts(pid);
    std::ranges::sort(lines);
    return lines;
}

}  // namespace viscum
