// SPDX-License-Identifier: GPL-2.0-only
// What all cases that load a bed have in common: a client that nobody has met before, and evidence of what went where.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "tests/bench/load/load.h"
#include "tests/support/bed.h"

namespace viscum {

/// A bed for one subject, with one client and a bridge, and bridged frames kept from iptables, as OpenWrt does.
class Rig {
public:
    /// `number` tells its namespaces from those of other rigs: "rN-hotspot".
    static Result<std::unique_ptr<Rig>> make(int number, bool firewall, const std::vector<std::string>& cloud);

    [[nodiscard]] Bed& bed() const { return *bed_; }
    [[nodiscard]] const NetNs& hotspot() const { return bed_->hotspot(); }
    [[nodiscard]] const NetNs& client() const { return bed_->client(1); }
    [[nodiscard]] const std::string& prefix() const { return prefix_; }

    /// The client has an address that it never had, and the hotspot no connection tracked: nothing is left of the case
    /// before. The first two octets are the LAN's.
    Status begin_case();

    /// Puts a namespace behind the hotspot's device "srv" (10.99.0.1/30): 10.99.0.2 on its eth0, which is its way out.
    Result<NetNs> add_backend() const;

private:
    Rig(std::unique_ptr<Bed> bed, std::string prefix) : bed_(std::move(bed)), prefix_(std::move(prefix)) {}

    std::unique_ptr<Bed> bed_;
    std::string prefix_;
    std::string address_;  // of the client's, in this case
    int cases_ = 0;
};

/// Reno for all connections that begin in `ns` from now on: what paces by itself, as a machine's default may do, would
/// measure its own timers. It is the one that every kernel has and lets a namespace choose.
Status use_reno(const NetNs& ns);

struct DevicePackets {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
};
/// errno_code ENODEV: there is none.
Result<DevicePackets> device_packets(const NetNs& ns, const std::string& device);

/// `who` answers an HTTP request of the client to `to`; an error says who did instead. It also warms up the
/// neighbours.
Status expect_answer(const NetNs& client, const IpAddress& to, const std::string& who);

/// A counter of `nft list counters`, in packets.
Result<std::uint64_t> nft_counter(const NetNs& ns, const std::string& name);
/// Of the last rule of the nat table's PREROUTING whose line contains `words`, in packets.
Result<std::uint64_t> iptables_counter(const NetNs& ns, const std::string& words);
/// nft -f.
Status load_nft(const NetNs& ns, const std::string& rules);

}  // namespace viscum
