// SPDX-License-Identifier: GPL-2.0-only
// One instance, one name: every path that Viscum uses follows from it, so that several fit on one machine.
#pragma once

#include <string>

#include "base/result.h"

namespace viscum {

struct Instance {
    std::string name = "viscum";

    /// [a-z][a-z0-9]*, 1-16 characters; what follows from it then needs no quoting, and no name of one instance is a
    /// prefix of another's namespaces ("a" and "a-b").
    static Result<Instance> parse(const std::string& name);

    [[nodiscard]] std::string config_file() const { return "/etc/" + name + "/viscum.yaml"; }
    [[nodiscard]] std::string services_dir() const { return "/etc/" + name + "/services"; }
    [[nodiscard]] std::string state_dir() const { return "/var/lib/" + name; }
    /// What happened: the file, and the generation before with ".1" behind it.
    [[nodiscard]] std::string events_file() const { return state_dir() + "/events"; }
    /// A start of viscumd that is not written there yet: one of many that ended at once.
    [[nodiscard]] std::string held_start_file() const { return run_dir() + "/events.start"; }
    [[nodiscard]] std::string run_dir() const { return "/run/" + name; }
    [[nodiscard]] std::string socket_path() const { return run_dir() + "/viscumd.sock"; }
    [[nodiscard]] std::string lock_file() const { return run_dir() + "/viscumd.lock"; }
    [[nodiscard]] std::string log_dir() const { return run_dir() + "/log"; }
    [[nodiscard]] std::string log_file(const std::string& service) const { return log_dir() + "/" + service + ".log"; }
    /// One directory per running version of a service: see supervise/process.h.
    [[nodiscard]] std::string runs_dir() const { return run_dir() + "/runs"; }
    [[nodiscard]] std::string bpf_dir() const { return "/sys/fs/bpf/" + name; }
};

}  // namespace viscum
