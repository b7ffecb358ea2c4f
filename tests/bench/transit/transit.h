// SPDX-License-Identifier: GPL-2.0-only
// A router with many rules, none of which concern what its client sends to the cloud: a rig of its own for each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/bench/load/load.h"
#include "tests/bench/load/rig.h"
#include "tests/support/program.h"
#include "tests/support/viscumd.h"

namespace viscum {

enum class Rules { none, viscum, u32, iptables, nft_map };

struct TransitSpec {
    std::string name;
    Rules rules = Rules::none;
    int count = 0;
};

class Transit {
public:
    /// Sets up the rules, and sees that all of them are there and that the last one takes what it is meant for.
    static Result<std::unique_ptr<Transit>> make(int number, const TransitSpec& spec);

    [[nodiscard]] const TransitSpec& spec() const { return spec_; }
    [[nodiscard]] std::string text() const;

    /// One case: a client of its own loads the cloud at an address that no rule names. An error where that did not pass
    /// the rules and the uplink, or failed.
    Result<Loaded> measure(Load load, Scale scale);

private:
    /// Counters before and after; those that a kind of rules has not stay 0.
    struct Evidence {
        std::uint64_t passed = 0;   // viscum: packets of nobody's; iptables, nft: flows that met the end of the rules
        std::uint64_t matched = 0;  // of rules: packets, or flows
        std::uint64_t uplink = 0;   // packets that the hotspot sent to the cloud
    };

    Transit(int number, TransitSpec spec, std::unique_ptr<Rig> rig)
        : number_(number), spec_(std::move(spec)), rig_(std::move(rig)) {}
    Status set_up();
    Status set_up_cloud();
    Status set_up_viscum();
    Status set_up_u32() const;
    Status set_up_iptables() const;
    Status set_up_map() const;
    Status check_rules();
    [[nodiscard]] Result<int> count_rules() const;
    [[nodiscard]] Result<Evidence> evidence() const;
    [[nodiscard]] Status check(const Loaded& loaded, const Evidence& before, const Evidence& after) const;
    [[nodiscard]] bool translates() const { return spec_.rules == Rules::iptables || spec_.rules == Rules::nft_map; }

    int number_;
    TransitSpec spec_;
    std::unique_ptr<Rig> rig_;
    std::optional<NetNs> backend_;
    std::optional<Viscumd> viscumd_;
    std::vector<Program> programs_;
};

}  // namespace viscum
