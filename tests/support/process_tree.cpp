// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/process_tree.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

// "PID (NAME) STATE PPID ..."; a name may hold anything.
pid_t parent_of(pid_t pid) {
    const auto stat = read_file(cat("/proc/", pid, "/stat"), 4096);
    const std::size_t end = stat ? stat->rfind(')') : std::string::npos;
    if (end == std::string::npos) {
        return 0;
    }
    const auto fields = split(stat->substr(end), ' ');
    return fields.size() > 2 ? static_cast<pid_t>(parse_decimal(fields[2], INT32_MAX).value_or(0)) : 0;
}

std::vector<pid_t> descendants(pid_t pid) {
    std::vector<std::pair<pid_t, pid_t>> all;  // process, its parent
    const auto names = list_directory("/proc");
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        if (const auto number = parse_decimal(name, INT32_MAX)) {
            const auto process = static_cast<pid_t>(*number);
            all.emplace_back(process, parent_of(process));
        }
    }
    std::ranges::sort(all);  // by number, as they were started: names sort 1002 before 998
    std::vector<pid_t> found = {pid};
    for (std::size_t index = 0; index < found.size(); ++index) {
        for (const auto& [process, parent] : all) {
            if (parent == found[index]) {
                found.push_back(process);
            }
        }
    }
    found.erase(found.begin());
    return found;
}

}  // namespace viscum
