// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/migrate.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "tcprog/pins.h"

namespace viscum {
namespace {

std::optional<bpf_map_info> info_of(const UniqueFd& map) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    return map && bpf_obj_get_info_by_fd(map.get(), &info, &size) == 0 ? std::optional(info) : std::nullopt;
}

UniqueFd map_of(const std::string& dir, std::uint32_t version, const char* name) {
    return pinned(cat(version_dir(dir, version), '/', name));
}

}  // namespace

Result<UniqueFd> older_map(const std::string& dir, const char* name) {
    auto versions = pinned_versions(dir);
    if (!versions) {
        return std::move(versions).error();
    }
    std::reverse(versions->begin(), versions->end());
    for (const auto version : *versions) {
        if (version >= VS_ABI) {
            continue;
        }
        UniqueFd map = map_of(dir, version, name);
        if (!map && errno != ENOENT) {
            return errno_error(cat("cannot open '", version_dir(dir, version), '/', name, "'"));
        }
        if (map) {
            return map;
        }
    }
    return UniqueFd();
}

Result<Carryover> look_beside(const std::string& dir) {
    const auto versions = pinned_versions(dir);
    if (!versions) {
        return versions.error();
    }
    Carryover out;
    std::copy_if(versions->begin(), versions->end(), std::back_inserter(out.older),
                 [](std::uint32_t version) { return version < VS_ABI; });
    for (const auto& map : kMaps) {
        const auto own = info_of(map_of(dir, VS_ABI, map.name));
        if (!own) {
            return errno_error(cat("cannot read '", version_dir(dir), '/', map.name, "'"));
        }
        out.maps.push_back(own->id);
        for (const auto version : out.older) {
            const auto before = info_of(map_of(dir, version, map.name));
            if (before && can_carry(*before, *own)) {
                out.maps.push_back(before->id);
            } else if (before) {
                out.lost.push_back(cat(map.name, " of version ", version));
            }
        }
    }
    return out;
}

void catch_up(const std::string& dir, const Carryover& carryover) {
    for (const auto& map : kMaps) {
        if (!map.later) {
            continue;
        }
        for (const auto version : carryover.older) {
            const UniqueFd from = map_of(dir, version, map.name);
            const UniqueFd to = map_of(dir, VS_ABI, map.name);
            if (from && to) {
                [[maybe_unused]] const auto carried = carry_map(from.get(), to.get(), *map.later);
            }
        }
    }
}

Status retire_pins(const std::string& dir, Carryover& carryover) {
    while (!carryover.older.empty()) {
        if (auto status = remove_directory(version_dir(dir, carryover.older.back())); !status) {
            return status;
        }
        carryover.older.pop_back();
    }
    return {};
}

}  // namespace viscum
