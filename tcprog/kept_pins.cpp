// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/kept_pins.h"

#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "tcprog/pins.h"

namespace viscum {

Result<KeptPins> KeptPins::open(const std::string& dir) {
    KeptPins kept(version_dir(dir));
    const auto names = list_directory(kept.directory_);
    if (!names) {
        return names.error();
    }
    for (const auto& name : *names) {
        const std::string path = cat(kept.directory_, '/', name);
        UniqueFd fd = pinned(path);
        if (!fd) {
            return errno_error(cat("cannot open '", path, "'"));
        }
        kept.pins_[name] = std::move(fd);
    }
    return kept;
}

Result<int> KeptPins::restore() const {
    int restored = 0;
    for (const auto& [name, fd] : pins_) {
        const std::string path = cat(directory_, '/', name);
        if (access(path.c_str(), F_OK) == 0) {
            continue;
        }
        if (auto status = make_directory(directory_, 0700); !status) {
            return std::move(status).error();
        }
        if (auto status = pin_over(fd.get(), path); !status) {
            return std::move(status).error();
        }
        ++restored;
    }
    return restored;
}

}  // namespace viscum
