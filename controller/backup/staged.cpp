// SPDX-License-Identifier: GPL-2.0-only
#include "controller/backup/staged.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

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
