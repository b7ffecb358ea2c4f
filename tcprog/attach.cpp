// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::uint32_t kLoopback = 1;  // in every namespace
constexpr std::size_t kMostMaps = 64;   // of a program: ours have 16

bpf_tc_hook hook_of(std::uint32_t ifindex, Direction direction) {
    bpf_tc_hook hook{};
    hook.sz = sizeof hook;
    hook.ifindex = static_cast<int>(ifindex);
    hook.attach_point = direction == Direction::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
    return hook;
}

bpf_tc_opts filter(std::uint32_t handle) {
    bpf_tc_opts options{};
    options.sz = sizeof options;
    options.handle = handle;
    options.priority = kFilterPriority;
    return options;
}

/// The program at our place on a device: its id, 0 for none.
Result<std::uint32_t> queried_id(std::uint32_t ifindex, std::uint32_t handle, Direction direction) {
    const auto hook = hook_of(ifindex, direction);
    auto options = filter(handle);
    const int error = bpf_tc_query(&hook, &options);
    // EINVAL: no clsact to ask, no filter on it yet, or one of another kind at our priority.
    if (error == -ENOENT || error == -EINVAL) {
        return 0U;
    }
    if (error != 0) {
        return errno_error("cannot ask for TC filters", error);
    }
    return options.prog_id;
}

/// The older qdisc `ingress` takes filters for what is sent as well, and runs them on what is received: there both
/// directions hold the same.
Result<std::uint32_t> attached_id(std::uint32_t ifindex, std::uint32_t handle, Direction direction) {
    auto id = queried_id(ifindex, handle, direction);
    if (!id || *id == 0 || direction == Direction::ingress) {
        return id;
    }
    const auto received = queried_id(ifindex, handle, Direction::ingress);
    return received && *received == *id ? Result<std::uint32_t>(0U) : std::move(id);
}

/// A program of ours, by the name that the object gives it; nothing for others'.
std::optional<bpf_prog_info> info_of_ours(std::uint32_t id) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    const bool ours =
        fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && std::string_view(info.name).starts_with("vs_");
    return ours ? std::optional(info) : std::nullopt;
}

bool is_ours(std::uint32_t id) {
    return info_of_ours(id).has_value();
}

bool is_of(const Datapath& datapath, std::uint32_t id) {
    return id == datapath.lan.id || id == datapath.service.id || id == datapath.vs_return.id;
}

/// Whether each map that a program works on is among `maps`.
bool works_on(std::uint32_t id, const std::vector<std::uint32_t>& maps) {
    std::array<__u32, kMostMaps> used{};
    bpf_prog_info info{};
    info.nr_map_ids = used.size();
    info.map_ids = reinterpret_cast<std::uintptr_t>(used.data());
    __u32 size = sizeof info;
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 || info.nr_map_ids > used.size()) {
        return false;
    }
    return std::all_of(used.begin(), used.begin() + info.nr_map_ids,
                       [&maps](__u32 map) { return std::find(maps.begin(), maps.end(), map) != maps.end(); });
}

const BpfProgram* successor_of(std::string_view name, const Datapath& datapath) {
    return name == "vs_lan"       ? &datapath.lan
           : name == "vs_service" ? &datapath.service
           : name == "vs_return"  ? &datapath.vs_return
                                  : nullptr;
}

}  // namespace

std::uint32_t filter_handle(std::string_view instance) {
    const auto hash = static_cast<std::uint32_t>(fnv1a(instance) & 0xffff);
    return hash == 0 ? 1 : hash;
}

Status try_filters(const BpfProgram& program) {
    const pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNET) != 0) {
            _exit(0);  // whoever asks goes on, and is told by the kernel
        }
        const auto attached = attach_filter(kLoopback, 1, program);
        _exit(attached ? 0 : std::clamp(attached.error().errno_code, 1, 255));
    }
    if (child < 0) {
        return errno_error("cannot fork");
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        Error error = errno_error("the kernel takes no TC filters with BPF programs", WEXITSTATUS(status));
        error.errno_code = is_for_now(WEXITSTATUS(status)) ? EIO : ENOEXEC;
        return error;
    }
    return {};
}

Status add_clsact(std::uint32_t ifindex) {
    auto hook = hook_of(ifindex, Direction::ingress);
    if (const int error = bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST) {
        return errno_error("cannot add clsact", error);
    }
    return {};
}

Result<Attached> attach_filter(std::uint32_t ifindex, std::uint32_t handle, const BpfProgram& program,
                               Direction direction) {
    const auto present = attached_id(ifindex, handle, direction);
    if (!present) {
        return present.error();
    }
    if (*present == program.id) {
        return Attached::already;
    }
    const Error taken{EEXIST, "another tool's TC filter has our priority"};
    if (*present != 0 && !is_ours(*present)) {
        return taken;
    }
    if (auto status = add_clsact(ifindex); !status) {
        return std::move(status).error();
    }
    const auto hook = hook_of(ifindex, direction);
    auto options = filter(handle);
    options.prog_fd = program.fd.get();
    options.flags = *present != 0 ? BPF_TC_F_REPLACE : 0;
    const int error = bpf_tc_attach(&hook, &options);
    if (error == -EEXIST || error == -EINVAL) {  // EINVAL: a priority has filters of one kind
        return taken;
    }
    if (error != 0) {
        return errno_error("cannot attach the TC filter", error);
    }
    if (direction == Direction::egress && *present == 0) {
        const auto now = attached_id(ifindex, handle, direction);
        if (!now || *now != program.id) {
            options = filter(handle);
            bpf_tc_detach(&hook, &options);
            if (!now) {
                return now.error();
            }
            return Error{EOPNOTSUPP, "the device's qdisc filters nothing that is sent"};
        }
    }
    return Attached::now;
}

Result<bool> filter_attached(std::uint32_t ifindex, std::uint32_t handle, const BpfProgram& program,
                             Direction direction) {
    const auto present = attached_id(ifindex, handle, direction);
    if (!present) {
        if (present.error().errno_code == ENODEV) {
            return false;
        }
        return present.error();
    }
    return *present == program.id;
}

bool carries_filter(std::uint32_t ifindex, std::uint32_t handle, Direction direction) {
    const auto present = attached_id(ifindex, handle, direction);
    return present && *present != 0 && is_ours(*present);
}

bool may_carry_earlier(std::uint32_t ifindex, std::uint32_t handle, const Datapath& datapath, Direction direction) {
    const auto present = attached_id(ifindex, handle, direction);
    if (!present) {
        return present.error().errno_code != ENODEV;
    }
    return *present != 0 && !is_of(datapath, *present) && is_ours(*present);
}

Result<bool> renew_filter(std::uint32_t ifindex, std::uint32_t handle, const Datapath& datapath, Direction direction) {
    const auto present = attached_id(ifindex, handle, direction);
    if (!present) {
        return present.error();
    }
    const auto earlier = *present == 0 || is_of(datapath, *present) ? std::nullopt : info_of_ours(*present);
    const BpfProgram* successor = earlier ? successor_of(earlier->name, datapath) : nullptr;
    if (successor == nullptr || !works_on(*present, datapath.carryover.maps)) {
        return false;
    }
    const auto attached = attach_filter(ifindex, handle, *successor, direction);
    return attached ? Result<bool>(*attached == Attached::now) : Result<bool>(attached.error());
}

Status detach_filter(std::uint32_t ifindex, std::uint32_t handle, Direction direction) {
    const auto present = attached_id(ifindex, handle, direction);
    if (!present) {
        return present.error().errno_code == ENODEV ? Status{} : Status{present.error()};
    }
    if (*present == 0 || !is_ours(*present)) {
        return {};
    }
    const auto hook = hook_of(ifindex, direction);
    const auto options = filter(handle);
    const int error = bpf_tc_detach(&hook, &options);
    if (error != 0 && error != -ENOENT && error != -ENODEV && error != -EINVAL) {
        return errno_error("cannot detach the TC filter", error);
    }
    return {};
}

}  // namespace viscum
