// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "tcprog/object.h"
#include "tcprog/pins.h"

namespace viscum {
namespace {

constexpr const char* kBpfFs = "/sys/fs/bpf";
constexpr const char* kCounters = "vs_counters";
constexpr const char* kLinkCounters = "vs_link_counters";
constexpr std::array<const char*, 3> kPrograms{"vs_lan", "vs_service", "vs_return"};

Status ensure_bpf_fs() {
    struct statfs info {};
    if (statfs(kBpfFs, &info) == 0 && static_cast<unsigned long>(info.f_type) == BPF_FS_MAGIC) {
        return {};
    }
    if (mount("bpf", kBpfFs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
        Error error = errno_error(cat("cannot mount bpffs on ", kBpfFs));
        error.errno_code = error.errno_code == ENODEV ? ENOEXEC : error.errno_code;  // this kernel has none
        return error;
    }
    return {};
}

Status refuse_newer(const std::string& dir) {
    const auto versions = pinned_versions(dir);
    if (!versions) {
        return versions.error();
    }
    if (!versions->empty() && versions->back() > VS_ABI) {
        return Error{EPROTO, cat("'", version_dir(dir, versions->back()),
                                 "' belongs to a newer viscumd (table version ", versions->back(), ", this one knows ",
                                 VS_ABI, "): start the newer one, or this one once with --discard-newer, which loses ",
                                 "counters and what is known of UDP flows")};
    }
    return {};
}

Status discard_newer(const std::string& dir, std::vector<std::uint32_t>& discarded) {
    const auto versions = pinned_versions(dir);
    if (!versions) {
        return versions.error();
    }
    for (const auto version : *versions) {
        if (version <= VS_ABI) {
            continue;
        }
        if (auto status = remove_directory(version_dir(dir, version)); !status) {
            return status;
        }
        discarded.push_back(version);
    }
    return {};
}

/// Programs of another build, or over tables of another size, have another digest. bpffs takes no name with a dot.
std::string digest(const DatapathSizes& sizes) {
    return hex(fnv1a(cat(object_bytes(), '/', sizes.rules, '/', sizes.flows, '/', sizes.fragments)), 16);
}

std::string program_pin(const std::string& dir, const char* name, const DatapathSizes& sizes) {
    return cat(version_dir(dir), '/', name, '-', digest(sizes));
}

std::uint32_t wanted_size(std::string_view map, const DatapathSizes& sizes) {
    if (map == "vs_port") {
        return port_capacity(sizes);
    }
    if (map == "vs_prefix") {
        return prefix_capacity(sizes);
    }
    if (map == "vs_exact") {
        return exact_capacity(sizes);
    }
    if (map == "vs_flows" || map == "vs_sources") {
        return sizes.flows;
    }
    if (map == "vs_fragments") {
        return sizes.fragments;
    }
    if (map == "vs_links" || map == kLinkCounters) {
        return link_capacity(sizes);
    }
    if (map == "vs_egress") {
        return egress_capacity(sizes);
    }
    if (map == "vs_outs") {
        return out_capacity(sizes);
    }
    if (map == "vs_rules" || map == "vs_claims" || map == kCounters) {
        return sizes.rules;
    }
    return 0;  // as the object says
}

Result<bpf_map_info> info_of(int fd, const std::string& path) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (const int error = bpf_obj_get_info_by_fd(fd, &info, &size); error != 0) {
        return errno_error(cat("cannot read '", path, "'"), error);
    }
    return info;
}

bpf_map_info wanted_info(const bpf_map* map) {
    bpf_map_info info{};
    info.type = bpf_map__type(map);
    info.key_size = bpf_map__key_size(map);
    info.value_size = bpf_map__value_size(map);
    info.max_entries = bpf_map__max_entries(map);
    return info;
}

bool same_layout(const bpf_map_info& a, const bpf_map_info& b) {
    return a.type == b.type && a.key_size == b.key_size && a.value_size == b.value_size;
}

/// A map of the object: the one of our pins, or that of an older layout, itself where it is as we want it. Otherwise
/// libbpf makes it, and `before` keeps what fills it. What cannot be looked at is an error: a map made beside it would
/// be the programs', and the pinned one the daemon's.
Status prepare_map(bpf_object* object, const std::string& dir, const char* name, const DatapathSizes& sizes,
                   UniqueFd& before) {
    bpf_map* map = bpf_object__find_map_by_name(object, name);
    if (map == nullptr) {
        return Error{ENOENT, cat("the BPF object has no map '", name, "'")};
    }
    if (const auto entries = wanted_size(name, sizes); entries != 0) {
        bpf_map__set_max_entries(map, entries);
    }
    const bpf_map_info wanted = wanted_info(map);
    const std::string path = cat(version_dir(dir), '/', name);
    UniqueFd existing = pinned(path);
    if (!existing && errno != ENOENT) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    const bool ours = static_cast<bool>(existing);
    if (!existing) {
        auto older = older_map(dir, name);
        if (!older) {
            return std::move(older).error();
        }
        existing = *std::move(older);
    }
    if (!existing) {
        return {};
    }
    const auto seen = info_of(existing.get(), path);
    if (!seen) {
        return seen.error();
    }
    const bpf_map_info& info = *seen;
    if (ours && !same_layout(info, wanted)) {
        return Error{EPROTO, cat("'", path, "' is no table of this version: remove it")};
    }
    if (same_layout(info, wanted) && info.max_entries == wanted.max_entries) {
        if (const int error = bpf_map__reuse_fd(map, existing.get()); error != 0) {
            Error failed = libbpf_failure(cat("cannot adopt map '", name, "'"), error);
            failed.errno_code = EIO;
            return failed;
        }
    } else if (can_carry(info, wanted)) {
        before = std::move(existing);
    }
    return {};
}

/// The pins of all programs: after a map was replaced they would be adopted with the map that they were loaded for.
Status unpin_programs(const std::string& dir) {
    const auto names = list_directory(version_dir(dir));
    if (!names) {
        return names.error();
    }
    for (const auto& name : *names) {
        for (const char* program : kPrograms) {
            if (name.starts_with(cat(program, '-')) && unlink(cat(version_dir(dir), '/', name).c_str()) != 0) {
                return errno_error(cat("cannot remove '", version_dir(dir), '/', name, "'"));
            }
        }
    }
    return {};
}

Status load(const std::string& dir, const DatapathSizes& sizes) {
    const auto opened = open_object();
    if (!opened) {
        return opened.error();
    }
    const BpfObject& object = *opened;
    std::array<UniqueFd, kMaps.size()> before;
    for (std::size_t i = 0; i < kMaps.size(); ++i) {
        if (auto status = prepare_map(object.get(), dir, kMaps[i].name, sizes, before[i]); !status) {
            return status;
        }
    }
    if (const int error = bpf_object__load(object.get()); error != 0) {
        return libbpf_failure("the kernel refuses the BPF programs", error);
    }
    // Not before: the directory alone tells an older viscumd that it is not to start.
    if (auto status = make_directory(version_dir(dir), 0700); !status) {
        return status;
    }
    if (auto status = unpin_programs(dir); !status) {
        return status;
    }
    for (std::size_t i = 0; i < kMaps.size(); ++i) {
        const int fd = bpf_map__fd(bpf_object__find_map_by_name(object.get(), kMaps[i].name));
        const std::string pin = cat(version_dir(dir), '/', kMaps[i].name);
        if (before[i]) {
            if (auto status = carry_map(before[i].get(), fd, kMaps[i].later.value_or(Carry::all)); !status) {
                return std::move(status).error().in(cat("cannot carry ", kMaps[i].name, " over"));
            }
        } else if (access(pin.c_str(), F_OK) == 0) {
            continue;
        }
        if (auto status = pin_over(fd, pin); !status) {
            return status;
        }
    }
    // Last: a program's pin says that all maps are there.
    for (const char* name : kPrograms) {
        const bpf_program* program = bpf_object__find_program_by_name(object.get(), name);
        if (program == nullptr) {
            return Error{ENOENT, cat("the BPF object has no program '", name, "'")};
        }
        if (auto status = pin_over(bpf_program__fd(program), program_pin(dir, name, sizes)); !status) {
            return status;
        }
    }
    return {};
}

Result<UniqueFd> open_pin(const std::string& path) {
    UniqueFd fd = pinned(path);
    if (!fd) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    return fd;
}

Result<BpfProgram> open_program(const std::string& dir, const char* name, const DatapathSizes& sizes) {
    auto fd = open_pin(program_pin(dir, name, sizes));
    if (!fd) {
        return std::move(fd).error();
    }
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (const int error = bpf_obj_get_info_by_fd(fd->get(), &info, &size); error != 0) {
        return errno_error(cat("cannot read program '", name, "'"), error);
    }
    return BpfProgram{std::move(*fd), info.id};
}

bool all_pinned(const std::string& dir, const DatapathSizes& sizes) {
    for (const char* name : kPrograms) {
        if (access(program_pin(dir, name, sizes).c_str(), F_OK) != 0) {
            return false;
        }
    }
    return std::all_of(kMaps.begin(), kMaps.end(), [&dir](const MapName& map) {
        return access(cat(version_dir(dir), '/', map.name).c_str(), F_OK) == 0;
    });
}

/// Maps and programs, pinned; whether all were there already.
Result<bool> ensure_pins(const std::string& dir, const DatapathSizes& sizes) {
    const bool fresh = access(version_dir(dir).c_str(), F_OK) != 0;
    if (all_pinned(dir, sizes)) {
        return true;
    }
    if (auto status = load(dir, sizes); !status) {
        if (fresh) {
            // The viscumd before must not find tables of ours where we cannot serve.
            [[maybe_unused]] const auto removed = remove_directory(version_dir(dir));
        }
        return std::move(status).error();
    }
    return false;
}

}  // namespace

Result<std::unique_ptr<Datapath>> open_datapath(const std::string& dir, const DatapathSizes& sizes, NewerTables newer) {
    keep_libbpf_words();
    if (auto status = ensure_bpf_fs(); !status) {
        return std::move(status).error();
    }
    if (auto status = make_directory(dir, 0700); !status) {
        return std::move(status).error();
    }
    if (auto status = newer == NewerTables::refuse ? refuse_newer(dir) : Status{}; !status) {
        return std::move(status).error();
    }
    const auto adopted = ensure_pins(dir, sizes);
    if (!adopted) {
        return adopted.error();
    }
    // Not before ours are whole. What is attached goes on without its pins.
    std::vector<std::uint32_t> discarded;
    if (auto status = newer == NewerTables::discard ? discard_newer(dir, discarded) : Status{}; !status) {
        return std::move(status).error();
    }
    auto carryover = look_beside(dir);
    if (!carryover) {
        return std::move(carryover).error();
    }
    carryover->discarded = std::move(discarded);
    std::vector<UniqueFd> maps;
    for (const char* name : {"vs_config", "vs_filter", "vs_exact", "vs_prefix", "vs_port", "vs_rules", "vs_claims",
                             "vs_flows", "vs_lans", "vs_links", "vs_egress", kLinkCounters, "vs_verdicts", kCounters}) {
        auto fd = open_pin(cat(version_dir(dir), '/', name));
        if (!fd) {
            return std::move(fd).error();
        }
        maps.push_back(std::move(*fd));
    }
    auto lan = open_program(dir, "vs_lan", sizes);
    if (!lan) {
        return std::move(lan).error();
    }
    auto service = open_program(dir, "vs_service", sizes);
    if (!service) {
        return std::move(service).error();
    }
    auto vs_return = open_program(dir, "vs_return", sizes);
    if (!vs_return) {
        return std::move(vs_return).error();
    }
    return std::unique_ptr<Datapath>(new Datapath{dir,
                                                  sizes,
                                                  *adopted,
                                                  std::move(*carryover),
                                                  BpfMap<__u32, vs_config>(std::move(maps[0])),
                                                  BpfMap<__u32, vs_filter>(std::move(maps[1])),
                                                  BpfMap<vs_exact_key, __u32>(std::move(maps[2])),
                                                  BpfMap<vs_prefix_key, __u32>(std::move(maps[3])),
                                                  BpfMap<vs_port_key, __u32>(std::move(maps[4])),
                                                  BpfMap<__u32, vs_rule>(std::move(maps[5])),
                                                  BpfMap<__u32, vs_claim>(std::move(maps[6])),
                                                  BpfMap<vs_flow_key, vs_flow>(std::move(maps[7])),
                                                  BpfMap<__u32, vs_lan_device>(std::move(maps[8])),
                                                  BpfMap<__u32, vs_link>(std::move(maps[9])),
                                                  BpfMap<vs_egress_key, __u32>(std::move(maps[10])),
                                                  std::move(maps[11]),
                                                  std::move(maps[12]),
                                                  std::move(maps[13]),
                                                  std::move(*lan),
                                                  std::move(*service),
                                                  std::move(*vs_return)});
}

Status remove_pins(const std::string& dir) {
    if (auto status = refuse_newer(dir); !status) {
        return status;
    }
    const auto versions = pinned_versions(dir);
    if (!versions) {
        return versions.error();
    }
    for (const auto version : *versions) {
        if (auto status = remove_directory(version_dir(dir, version)); !status) {
            return status;
        }
    }
    return remove_directory(dir);
}

}  // namespace viscum
