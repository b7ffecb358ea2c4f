// SPDX-License-Identifier: GPL-2.0-only
// Names and hardware addresses that follow from an instance's and a service's name alone, so that every start
// derives the same ones and needs no state to find its own.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace viscum {

using Mac = std::array<std::uint8_t, 6>;

/// The router's end of a service's link: "vs" + 12 base-32 digits of a hash of all three = 14 characters, within
/// IFNAMSIZ - 1. `slot` is 0 or 1: two versions of a service stand side by side during an update.
std::string host_ifname(std::string_view instance, std::string_view service, int slot);

/// The service's end: locally administered, unicast, the same for both slots.
Mac service_mac(std::string_view instance, std::string_view service);

/// The namespace: "INSTANCE-SERVICE" for slot 0, "INSTANCE-SERVICE.1" for slot 1 (no service name has a dot).
std::string net_ns_name(std::string_view instance, std::string_view service, int slot);

std::string mac_text(const Mac& mac);

}  // namespace viscum
