// SPDX-License-Identifier: GPL-2.0-only
// Many small services on one hotspot, deployed and removed as an operator does it: with viscumctl.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "tests/support/bed.h"
#include "tests/support/endpoint.h"
#include "tests/support/viscumd.h"

namespace viscum {

/// How a service's health is known: that it runs (nothing is asked again), or by a probe every 2 s.
enum class ProbeKind { process, tcp, http };

/// A bed with one client, and viscumd with room for 1,024 services, which may claim the cloud's usual addresses as
/// well. Anything that goes wrong ends the benchmark.
class Many {
public:
    static constexpr std::size_t kMost = 1'024;
    static constexpr std::size_t kBatch = 64;  // files of one deploy, viscumd's own bound

    explicit Many(ProbeKind probe);

    /// Deploys those of the numbers [from, until), in batches; milliseconds of all.
    double deploy(std::size_t from, std::size_t until);
    /// One file more, of number `number`; its version is another with each `version`. Milliseconds until viscumctl
    /// returned.
    double deploy_one(std::size_t number, int version = 0);
    double remove_one(std::size_t number);
    /// Milliseconds until viscumctl returned successfully.
    double ask(const Argv& arguments);

    [[nodiscard]] static std::string name_of(std::size_t number) { return "many-" + std::to_string(number); }
    /// Ends the benchmark unless a client of it is answered by the local copy (in the cloud nobody has its address);
    /// the other way round where not `served`.
    void check(std::size_t number, bool served) const;
    /// The same unless exactly `count` services are up and served, and each has a process.
    void check_all_up(std::size_t count) const;

    [[nodiscard]] const Bed& bed() const { return *bed_; }
    [[nodiscard]] Viscumd& viscumd() { return *viscumd_; }

private:
    [[nodiscard]] std::string file_of(std::size_t number, int version) const;

    ProbeKind probe_;
    std::unique_ptr<Bed> bed_;
    std::optional<Viscumd> viscumd_;
};

/// Milliseconds since `start`.
double ms_since(BootTime start);

}  // namespace viscum
