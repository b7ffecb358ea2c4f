// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/pins.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

std::string version_dir(const std::string& dir, std::uint32_t version) {
    return cat(dir, "/v", version);
}

Result<std::vector<std::uint32_t>> pinned_versions(const std::string& dir) {
    const auto names = list_directory(dir);
    if (!names) {
        return names.error();
    }
    std::vector<std::uint32_t> versions;
    for (const std::string_view name : *names) {
        const auto version = name.starts_with('v') ? parse_decimal(name.substr(1), UINT32_MAX) : std::nullopt;
        if (version) {
            versions.push_back(static_cast<std::uint32_t>(*version));
        }
    }
    std::sort(versions.begin(), versions.end());
    return versions;
}

UniqueFd pinned(const std::string& path) {
    return UniqueFd(bpf_obj_get(path.c_str()));
}

Status pin_over(int fd, const std::string& path) {
    const std::string fresh = path + "-new";
    unlink(fresh.c_str());
    if (const int error = bpf_obj_pin(fd, fresh.c_str()); error != 0) {
        return errno_error(cat("cannot pin '", path, "'"), error);
    }
    if (rename(fresh.c_str(), path.c_str()) != 0) {
        Error error = errno_error(cat("cannot pin '", path, "'"));
        unlink(fresh.c_str());
        return error;
    }
    return {};
}

}  // namespace viscum
