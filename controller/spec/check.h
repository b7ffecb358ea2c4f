// SPDX-License-Identifier: GPL-2.0-only
// What a service may claim: against `claimable:`, against what is never claimable, and against other services.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/spec/service_spec.h"

namespace viscum {

/// The router's own networks at this instant: every address of its devices, as the device's whole prefix.
/// They are never claimable, whatever `claimable:` says.
using OwnNetworks = std::vector<IpPrefix>;

/// Addresses that no router may redirect, and that nothing beyond it has (RFC 6890, RFC 4291).
struct SpecialRange {
    std::string_view prefix;
    std::string_view what;  // "a loopback address"
};
/// The range that holds all of `prefix`; null where there is none.
const SpecialRange* special_range_around(const IpPrefix& prefix);

/// Sentences that name the claim and what stands against it; empty: all claims are permitted.
/// Never claimable: unspecified, loopback, link-local, multicast and broadcast addresses, `own`, and the aliases of
/// `config`.
/// `others` are all services deployed beside this one (an entry of the same name is passed over). Two claims conflict
/// when prefix, protocol and ports are equal in prefix and overlap in ports; of nested prefixes the longer wins.
std::vector<std::string> check_claims(const ServiceSpec& service, const RouterConfig& config, const OwnNetworks& own,
                                      const std::vector<ServiceSpec>& others);

}  // namespace viscum
