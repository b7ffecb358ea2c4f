// SPDX-License-Identifier: GPL-2.0-only
// What the tests of the network's faults have in common.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/faults/oracle/oracle.h"
#include "tests/scene/scene.h"
#include "tests/support/campaign.h"

namespace viscum {

// Promised is 1 s; a loaded machine may take longer.
constexpr Millis kBack{5'000};

/// What a command in the hotspot's namespace says; an error ends the test.
std::string in_hotspot(Scene& scene, const Argv& argv);
/// The same where it may fail: both outputs and the exit status.
std::string said_in_hotspot(Scene& scene, const Argv& argv);

/// A LAN device as viscumd reports it; nameless where it has none of the name.
LanReport lan_of(const Scene& scene, const std::string& device);
bool has_lan(const Scene& scene, const std::string& device);

/// Both families' web service answers `client` locally, each within 300 ms.
bool served(const NetNs& client);

/// A client that asks again as soon as it was answered, but for a moment that leaves the machine to the others.
std::unique_ptr<FlowClient> steady_flow(Scene& scene, const Endpoint& to = kWeb, int client = 2);

/// For leaks_since() while a service runs: is_probe(), the prober's connection of a probe, and a descriptor that was
/// closed while it was looked at.
bool comes_and_goes(const std::string& line);
/// Another viscumd has other descriptors for the same things.
bool is_descriptor(const std::string& line);

/// The lines of level warning and error that viscumd logged behind the first `from` bytes of its log, each as often as
/// it was said.
std::vector<std::string> complaints(Scene& scene, std::size_t from = 0);

/// The state and service files of the instance.
DiskState disk(Scene& scene);
/// STATE: what is on disk is `before` or `after`.
void check_state(Scene& scene, const DiskState& before, const DiskState& after);
/// STATE after a deploy of `file`: where it is done, the file is there and the others are as before; otherwise nothing
/// changed.
void check_deployed(Scene& scene, const DiskState& before, const ServiceFile& file, bool done);

/// System calls of a process that runs already fail as strace's `inject=` says ("sendmsg:error=EBUSY:when=3"), until
/// this object ends. The process goes on.
class Injection {
public:
    /// Returns once it is in force.
    Injection(pid_t pid, const std::string& fault);
    ~Injection();
    Injection(const Injection&) = delete;
    Injection& operator=(const Injection&) = delete;

    /// How many calls failed so far.
    [[nodiscard]] std::size_t injected() const;
    /// How many there were, failed or not.
    [[nodiscard]] std::size_t calls() const;

private:
    pid_t pid_;
    std::string call_;
    std::string log_;
    Program strace_;
};

/// False, and says so, where strace is missing.
bool have_strace();

}  // namespace viscum
