// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/launch.h"

#include <sys/sysinfo.h>

#include "base/file.h"
#include "base/text.h"
#include "controller/daemon/numbers.h"
#include "controller/plan/aliases.h"
#include "controller/sandbox/seccomp.h"
#include "controller/supervise/account.h"

namespace viscum {
namespace {

constexpr std::size_t kMountsLimit = 1024 * 1024;

template <class T>
std::optional<T> value_of(const LimitsSpec::Limit<T>& limit, bool stated_only) {
    const bool counts =
        limit.source == LimitsSpec::Source::file || (!stated_only && limit.source == LimitsSpec::Source::standard);
    return counts ? std::optional<T>(limit.value) : std::nullopt;
}

Account account_of(const Identity& identity) {
    return {identity.uid, identity.gid, identity.groups, identity.home, identity.name};
}

/// The user that the file or the image names.
Result<Identity> named_identity(const RunSpec& run, const RunIdentity& own) {
    if (run.user.empty()) {
        return Identity{*own.image->uid, own.image->gid.value_or(*own.image->uid), {}, "", "/"};
    }
    auto account = look_up_account(run.user);
    if (!account) {
        return std::move(account).error();
    }
    if (own.image) {
        // The names and groups that the host has for this number mean nothing in the image.
        const bool same = own.image->uid == account->uid;
        return Identity{account->uid, same ? own.image->gid.value_or(account->uid) : account->uid, {}, "", "/"};
    }
    return Identity{account->uid, account->gid, account->groups, account->name, account->home};
}

}  // namespace

RunSpec complete_run(const RunSpec& run, const std::optional<Image>& image) {
    RunSpec out = run;
    if (!image) {
        return out;
    }
    if (out.command.empty()) {
        out.command = image->command;
    }
    for (const auto& [name, value] : image->env) {
        out.env.emplace(name, value);
    }
    if (out.directory.empty()) {
        out.directory = image->directory;
    }
    if (!image->stop_signal.empty() && run.stop_signal == RunSpec{}.stop_signal) {
        out.stop_signal = image->stop_signal;
    }
    return out;
}

Result<Identity> identity_of(const RunSpec& run, const Instance& instance, const RunIdentity& own) {
    if (run.user.empty() && (!own.image || own.image->uid.value_or(0) == 0)) {
        const uid_t uid = service_uid(instance.name, own.number);
        return Identity{uid, uid, {}, "", "/"};
    }
    auto identity = named_identity(run, own);
    if (identity && (is_service_uid(identity->uid) || is_service_uid(identity->gid))) {
        return Error{EPERM, cat("user ", identity->uid, " is of the range that services' own accounts come from")};
    }
    return identity;
}

CgroupLimits group_limits(const LimitsSpec& limits, std::uint64_t memory_total) {
    CgroupLimits out{value_of(limits.memory, false), value_of(limits.cpu, false), value_of(limits.pids, false)};
    if (limits.memory.source == LimitsSpec::Source::standard) {
        out.memory = memory_total / 2;
    }
    return out;
}

CgroupLimits stated_limits(const LimitsSpec& limits) {
    return {value_of(limits.memory, true), value_of(limits.cpu, true), value_of(limits.pids, true)};
}

std::uint64_t memory_of_machine() {
    struct sysinfo info {};
    return sysinfo(&info) == 0 ? std::uint64_t{info.totalram} * info.mem_unit : 0;
}

Result<LaunchSpec> make_launch(const ServiceSpec& spec, const Instance& instance, const RunIdentity& own,
                               const std::optional<WantedEgress>& egress,
                               const std::vector<std::string>& cgroup_files) {
    if (!spec.run.image.empty() && !own.image) {
        return Error{ENOENT,
                     cat("the image '", spec.run.image, "' that it was started from is no longer in the store")};
    }
    ServiceSpec whole = spec;
    whole.run = complete_run(spec.run, own.image);
    if (whole.run.command.empty()) {
        return Error{EINVAL, cat("the image '", spec.run.image,
                                 "' starts nothing by itself; 'run: {command: [...]}' "
                                 "says what")};
    }
    auto identity = identity_of(whole.run, instance, own);
    if (!identity) {
        return std::move(identity).error();
    }
    SandboxInput input;
    input.spec = &whole;
    input.instance = instance.name;
    input.identity = *identity;
    input.cgroup_files = cgroup_files;
    input.memory_limit = group_limits(spec.limits, memory_of_machine()).memory.value_or(0);
    if (own.image) {
        for (const auto& layer : own.image->layers) {
            input.layers.push_back(layer_path(instance, layer));
        }
    } else if (spec.run.rootfs.empty()) {
        const auto mounts = read_file("/proc/self/mountinfo", kMountsLimit);
        if (!mounts) {
            return mounts.error();
        }
        input.host_mounts = read_host_mounts(*mounts);
    }
    if (egress) {
        for (const auto& [address, names] : origin_names(spec, *egress)) {
            input.hosts.push_back({address, names});
        }
    }
    auto filter = seccomp_filter(spec.sandbox.allow);
    if (!filter) {
        return std::move(filter).error();
    }
    input.seccomp = std::move(*filter);
    auto sandbox = make_sandbox(input);
    if (!sandbox) {
        return std::move(sandbox).error();
    }
    LaunchSpec launch;
    launch.name = spec.name;
    launch.command = whole.run.command;
    launch.env = make_environment(account_of(*identity), whole.run.env);
    launch.sandbox = std::move(*sandbox);
    return launch;
}

}  // namespace viscum
