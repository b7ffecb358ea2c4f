// SPDX-License-Identifier: GPL-2.0-only
// The test bed: clients, a hotspot and a cloud, each a network namespace, joined by veth. To be made in a sandbox.
//
//   client1 ─ lan1 ┐                                  192.0.2.0/24
//   client2 ─ lan2 ┴ br-lan   hotspot   wan ──────────────────────── wan   cloud: owns the services' addresses
//           10.77.0.0/16, 2001:db8:77::/64          2001:db8:1::/64        203.0.113.0/24, 198.51.100.0/24,
//           2001:db8:c::/64
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netns/net_ns.h"

namespace viscum {

struct BedOptions {
    int clients = 2;        // 1-200
    bool bridge = true;     // false: each lanN is a network of its own, 10.77.N.0/24 and 2001:db8:77:N::/64
    bool firewall = false;  // as OpenWrt's fw4: invalid dropped, established and LAN to WAN accepted, NAT on wan
    bool one_mac = false;   // of all LAN devices, where there is no bridge
    /// What the cloud owns from the start.
    std::vector<std::string> cloud = {"203.0.113.10",   "203.0.113.20",   "203.0.113.53",
                                      "2001:db8:c::10", "2001:db8:c::20", "2001:db8:c::53"};
    std::string prefix{};  // of the namespaces' names, for several beds side by side
};

class Bed {
public:
    /// Names of the namespaces: "client1", …, "hotspot", "cloud", behind the prefix; those that exist are an error.
    static Result<std::unique_ptr<Bed>> make(const BedOptions& options = {});
    /// Takes the names away; the namespaces go with their last process.
    ~Bed();
    Bed(const Bed&) = delete;
    Bed& operator=(const Bed&) = delete;

    /// `number` counts from 1.
    [[nodiscard]] const NetNs& client(int number) const { return namespaces_[static_cast<std::size_t>(number) + 1].ns; }
    [[nodiscard]] const NetNs& hotspot() const { return namespaces_[0].ns; }
    [[nodiscard]] const NetNs& cloud() const { return namespaces_[1].ns; }
    [[nodiscard]] IpAddress client_address(int number, bool v6 = false) const;
    [[nodiscard]] std::vector<std::string> lan_devices() const;  // the ports where there is a bridge

    /// Makes the cloud own one address more.
    Status give_cloud(const std::string& address);
    /// Bytes over the hotspot's wan device, both directions.
    Result<std::uint64_t> uplink_bytes() const;

private:
    struct Named {
        std::string name;
        NetNs ns;
    };
    explicit Bed(const BedOptions& options) : options_(options) {}
    Status make_namespaces();
    Status join_namespaces();
    Status set_up_hotspot();
    Status set_up_client(int number);
    Status set_up_cloud();
    [[nodiscard]] std::string lan_address(int network, int host, bool v6) const;

    BedOptions options_;
    std::vector<Named> namespaces_;  // hotspot, cloud, clients
};

/// `ip -batch` inside a namespace; a line that fails is an error.
Status ip_batch(const NetNs& ns, const std::string& lines);

}  // namespace viscum
