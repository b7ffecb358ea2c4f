// SPDX-License-Identifier: GPL-2.0-only
// One way in which a client reaches a service on the router: a rig of its own, with the same servers in each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/bench/load/load.h"
#include "tests/bench/load/rig.h"
#include "tests/bench/sandboxed/sandboxed.h"
#include "tests/support/program.h"
#include "tests/support/viscumd.h"

namespace viscum {

/// `boxed`: in the router's own namespace, with the sandbox and the limits of a service.
enum class Way { own, boxed, viscum, routed, nft, iptables, haproxy, socat };

struct SubjectSpec {
    std::string name;
    Way way = Way::own;
    bool router_rules = false;
    std::uint32_t held = 0;  // connections that are tracked besides, during a case
};

class Subject {
public:
    /// errno_code ENOENT: a program is not installed.
    static Result<std::unique_ptr<Subject>> make(int number, const SubjectSpec& spec);

    [[nodiscard]] const std::string& name() const { return spec_.name; }
    [[nodiscard]] bool takes(Load load) const;

    /// One case: a client of its own loads the service. An error where it went another way than it should, or failed.
    Result<Loaded> measure(Load load, Scale scale);

    /// Entries of the router's connection tracking after the last case.
    [[nodiscard]] std::uint64_t tracked() const { return tracked_; }
    /// What one of the held connections took of the kernel's memory in the last case, in bytes; 0 where none were held,
    /// and in all cases but the first.
    [[nodiscard]] double bytes_per_connection() const { return bytes_per_connection_; }

private:
    /// Counters whose change tells which way a case went; those that a way has not stay 0.
    struct Evidence {
        std::uint64_t flows = 0;    // that the rule took
        std::uint64_t packets = 0;  // of these
        std::uint64_t cloud = 0;    // packets to the service's address that were given to the cloud
        std::uint64_t uplink = 0;   // packets over the hotspot's wan, both directions
    };

    Subject(SubjectSpec spec, std::unique_ptr<Rig> rig) : spec_(std::move(spec)), rig_(std::move(rig)) {}
    Status set_up();
    Status set_up_viscum(int number);
    Status set_up_backend();
    Status set_up_rules();
    Status set_up_haproxy();
    Status set_up_socat();
    Status start_servers(const NetNs& ns, const std::string& address);
    Status set_up_boxed();
    Status check_that_router_tracks();
    Status hold_connections();
    [[nodiscard]] Result<Evidence> evidence() const;
    [[nodiscard]] Status check(const Loaded& loaded, const Evidence& before, const Evidence& after) const;

    SubjectSpec spec_;
    std::unique_ptr<Rig> rig_;
    std::optional<NetNs> backend_;
    std::optional<Viscumd> viscumd_;
    std::vector<Program> programs_;
    std::unique_ptr<Cgroups> groups_;
    std::vector<Sandboxed> boxed_;
    std::uint64_t tracked_ = 0;
    double bytes_per_connection_ = 0;
    bool held_before_ = false;
    int number_ = 0;
};

}  // namespace viscum
