// SPDX-License-Identifier: GPL-2.0-only
#include "netns/ifname.h"

#include "base/text.h"

namespace viscum {

std::string host_ifname(std::string_view instance, std::string_view service, int slot) {
    constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648, 6
    // No name has a slash: three different names never make one text.
    auto rest = fnv1a(cat(instance, '/', service, '/', slot));
    std::string name = "vs";
    for (int i = 0; i < 12; ++i) {
        name += kDigits[rest % kDigits.size()];
        rest /= kDigits.size();
    }
    return name;
}

Mac service_mac(std::string_view instance, std::string_view service) {
    auto rest = fnv1a(cat(instance, '/', service));
    Mac mac{};
    for (auto& byte : mac) {
        byte = static_cast<std::uint8_t>(rest);
        rest >>= 8;
    }
    mac[0] = static_cast<std::uint8_t>((mac[0] & 0xfc) | 0x02);  // locally administered, unicast (IEEE 802, 8.2.2)
    return mac;
}

std::string net_ns_name(std::string_view instance, std::string_view service, int slot) {
    return cat(instance, '-', service, slot == 0 ? "" : ".1");
}

std::string mac_text(const Mac& mac) {
    std::string text;
    for (const auto byte : mac) {
        text += cat(text.empty() ? "" : ":", hex(byte, 2));
    }
    return text;
}

}  // namespace viscum
