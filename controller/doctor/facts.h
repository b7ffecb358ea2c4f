// SPDX-License-Identifier: GPL-2.0-only
// What a router is like, as far as Viscum depends on it. Values alone: observe.h finds them out, diagnose.h judges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "controller/ipc/report.h"
#include "controller/spec/check.h"
#include "controller/spec/parse.h"
#include "netns/flow_tables.h"

namespace viscum {

/// What brings kernel modules: decides the commands that are proposed.
enum class Packages { opkg, apk, none };

/// What the kernel refused of a service's network, tried in namespaces that are gone afterwards.
enum class TrialStep { none, net_ns, veth, programs, filter };
struct Trial {
    TrialStep failed = TrialStep::none;
    std::string why;
    bool classic = true;  // the filters of the grade `classic` can be had, whatever failed
};

struct FreeSpace {
    std::string path;
    std::uint64_t bytes = 0;
};

struct Facts {
    Packages packages = Packages::none;
    std::string kernel;  // "6.6.73"
    Trial trial;
    std::vector<std::string> missing_limits;           // of "memory", "cpu", "pids"
    std::optional<bool> forwards_v4{}, forwards_v6{};  // nullopt: the kernel lacks the family
    bool default_route = false;                        // of either family
    std::vector<FlowTable> flow_tables;
    bool strict_reverse_path = false;   // rp_filter of all devices is 1
    std::vector<std::string> shaped{};  // devices on which SQM works
    std::vector<std::string> tc_tools;  // programs that run and put TC filters on the same devices: "bridger"

    std::string config_file;
    bool has_config = false;
    Diagnostics config_mistakes;
    RouterConfig config;
    std::vector<std::string> devices;  // all of the router's
    OwnNetworks own_networks;
    bool lan_has_v6 = false;  // a global IPv6 address on a device of `lan:`

    std::vector<ServiceSpec> services;  // as they stand in their files
    Diagnostics service_mistakes;

    std::optional<DaemonReport> daemon{};  // none: `daemon_problem` says why
    std::string daemon_problem;
    std::string daemon_hint;

    std::vector<FreeSpace> spaces;
    std::uint64_t memory_available = 0;  // bytes
    int year = 0;                        // by the clock
};

}  // namespace viscum
