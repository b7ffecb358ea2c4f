// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/text.h"

namespace viscum {
namespace {

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

/// Whether a program is one of ours, by the name that the object gives it.
bool is_ours(std::uint32_t id) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    return fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && std::string_view(info.name).starts_with("vs_");
}

}  // namespace

std::uint32_t filter_handle(std::string_view instance) {
    const auto hash = static_cast<std::uint32_t>(fnv1a(instance) & 0xffff);
    return hash == 0 ? 1 : hash;
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
