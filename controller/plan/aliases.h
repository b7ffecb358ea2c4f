// SPDX-License-Identifier: GPL-2.0-only
// What follows from a service's number (daemon/store.h): the addresses that stand for its own on the router's side.
// Pure. Each slot of each service has eight of each family: its own alias, and up to seven for origins.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/plan/state.h"

namespace viscum {

inline constexpr std::uint32_t kNumbers = 4096;  // of services: what a /16 has room for

/// What `egress` of the service means for the backend of this slot; nullopt where it may begin nothing.
std::optional<WantedEgress> egress_of(const ServiceSpec& spec, const AliasRange& range, std::uint32_t number, int slot);

/// Lines of the service's /etc/hosts: each origin's stand-in, with the host names by which clients know the address.
/// The first of a family is also called "origin".
std::vector<std::pair<IpAddress, std::string>> origin_names(const ServiceSpec& spec, const WantedEgress& egress);

}  // namespace viscum
