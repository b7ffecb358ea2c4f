// SPDX-License-Identifier: GPL-2.0-only
#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// Counted from the top of the 16 bytes.
bool bit(const IpAddress& address, int index) {
    return (address.bytes[static_cast<std::size_t>(index / 8)] >> (7 - index % 8) & 1) != 0;
}

int first_bit(const IpAddress& address) {
    return address.is_v4() ? 96 : 0;
}

}  // namespace

bool IpAddress::is_v4() const {
    return std::equal(kMapped.begin(), kMapped.end(), bytes.begin());
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string copy(text);
    if (copy.size() != std::string_view(copy.c_str()).size()) {
        return std::nullopt;  // a NUL inside
    }
    IpAddress address;
    if (copy.find(':') == std::string::npos) {
        std::copy(kMapped.begin(), kMapped.end(), address.bytes.begin());
        if (inet_pton(AF_INET, copy.c_str(), address.bytes.data() + 12) != 1) {
            return std::nullopt;
        }
        return address;
    }
    if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) != 1 || address.is_v4()) {
        return std::nullopt;
    }
    return address;
}

std::string IpAddress::text() const {
    char out[INET6_ADDRSTRLEN] = {};
    inet_ntop(is_v4() ? AF_INET : AF_INET6, wire(), out, sizeof out);
    return out;
}

IpPrefix IpPrefix::around(const IpAddress& address, int length) {
    IpPrefix prefix{address, length};
    for (int i = first_bit(address) + length; i < 128; ++i) {
        auto& byte = prefix.address.bytes[static_cast<std::size_t>(i / 8)];
        byte = static_cast<std::uint8_t>(byte & ~(0x80U >> (i % 8)));
    }
    return prefix;
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    IpPrefix prefix{*address, address->width()};
    if (slash == std::string_view::npos) {
        return prefix;
    }
    const auto length = parse_decimal(text.substr(slash + 1), static_cast<std::uint64_t>(address->width()));
    if (!length) {
        return std::nullopt;
    }
    prefix.length = static_cast<int>(*length);
    if (prefix != around(*address, prefix.length)) {
        return std::nullopt;
    }
    return prefix;
}

bool IpPrefix::contains(const IpPrefix& other) const {
    if (address.is_v4() != other.address.is_v4() || length > other.length) {
        return false;
    }
    const int first = first_bit(address);
    for (int i = first; i < first + length; ++i) {
        if (bit(address, i) != bit(other.address, i)) {
            return false;
        }
    }
    return true;
}

std::string IpPrefix::text() const {
    return is_single() ? address.text() : cat(address.text(), '/', length);
}

}  // namespace viscum
