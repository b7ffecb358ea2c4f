// SPDX-License-Identifier: GPL-2.0-only
// From a service's file, its image and its number: what a run is launched with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/instance.h"
#include "base/result.h"
#include "controller/image/image.h"
#include "controller/plan/state.h"
#include "controller/sandbox/cgroup.h"
#include "controller/sandbox/sandbox.h"
#include "controller/spec/service_spec.h"
#include "controller/supervise/process.h"

namespace viscum {

/// What belongs to one version of a service beside its file.
struct RunIdentity {
    std::uint32_t number = 0;    // the service's
    std::optional<Image> image;  // of `run.image`
};

/// The file's `run:` with what it leaves to the image filled in.
RunSpec complete_run(const RunSpec& run, const std::optional<Image>& image);

/// Who the service runs as: `user:`, or the image's user unless that is root, or an account of its own.
Result<Identity> identity_of(const RunSpec& run, const Instance& instance, const RunIdentity& own);

/// The limits that its groups are to keep. `memory_total`: bytes, of the machine.
CgroupLimits group_limits(const LimitsSpec& limits, std::uint64_t memory_total);
/// Those alone that the file itself asks for.
CgroupLimits stated_limits(const LimitsSpec& limits);
/// Bytes of memory that this machine has.
std::uint64_t memory_of_machine();

/// Everything that the shim is told. `cgroup_files` are those of the run's groups, which exist.
Result<LaunchSpec> make_launch(const ServiceSpec& spec, const Instance& instance, const RunIdentity& own,
                               const std::optional<WantedEgress>& egress, const std::vector<std::string>& cgroup_files);

}  // namespace viscum
