// SPDX-License-Identifier: GPL-2.0-only
// Reading what the kernel's messages hold. Every reader accepts the null pointer of an attribute that is not there.
#pragma once

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "base/ip.h"

namespace viscum {

/// The attribute `type` inside the nest `parent`.
inline nlattr* nested(const nlattr* parent, int type) {
    return parent == nullptr ? nullptr : nla_find(static_cast<const nlattr*>(nla_data(parent)), nla_len(parent), type);
}

/// Whether a message is whole within `left` bytes. Not mnl_nlmsg_ok, which takes a length above 2^31 for a small one.
inline bool is_whole(const nlmsghdr* message, int left) {
    return nlmsg_ok(message, left) != 0;
}

/// The fixed part that a message begins with; null where the message is too short for it.
template <class Header>
const Header* fixed_part(const nlmsghdr* message) {
    return nlmsg_datalen(message) < static_cast<int>(sizeof(Header)) ? nullptr
                                                                     : static_cast<const Header*>(nlmsg_data(message));
}

/// An integer, or bytes, of a fixed size.
template <class Value>
std::optional<Value> read_value(const nlattr* attribute) {
    Value value{};
    if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof value)) {
        return std::nullopt;
    }
    std::memcpy(&value, nla_data(attribute), sizeof value);
    return value;
}

inline std::string read_text(const nlattr* attribute) {
    if (attribute == nullptr) {
        return {};
    }
    const auto* text = static_cast<const char*>(nla_data(attribute));
    return {text, strnlen(text, static_cast<std::size_t>(nla_len(attribute)))};
}

/// 4 bytes for AF_INET, 16 for AF_INET6, in network byte order.
inline IpAddress address_from_wire(int family, const void* bytes) {
    IpAddress address;
    if (family == AF_INET) {
        address.bytes[10] = address.bytes[11] = 0xff;
        std::memcpy(address.bytes.data() + 12, bytes, 4);
    } else {
        std::memcpy(address.bytes.data(), bytes, 16);
    }
    return address;
}

inline std::optional<IpAddress> read_address(int family, const nlattr* attribute) {
    if (attribute == nullptr || nla_len(attribute) < (family == AF_INET ? 4 : 16)) {
        return std::nullopt;
    }
    return address_from_wire(family, nla_data(attribute));
}

}  // namespace viscum
