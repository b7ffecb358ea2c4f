// SPDX-License-Identifier: GPL-2.0-only
// IP addresses and prefixes of both families in one type.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace viscum {

/// An address in network byte order. IPv4 is kept as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that one key serves both
/// families, here and in the BPF maps.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};

    auto operator<=>(const IpAddress&) const = default;

    /// Strict: dotted quad without leading zeros, or RFC 4291 text without zone. An IPv4-mapped IPv6 text is refused:
    /// it never is on the wire.
    static std::optional<IpAddress> parse(std::string_view text);
    [[nodiscard]] bool is_v4() const;
    /// 32 or 128.
    [[nodiscard]] int width() const { return is_v4() ? 32 : 128; }
    [[nodiscard]] std::string text() const;
    /// The 4 or 16 bytes as they are on the wire.
    [[nodiscard]] const std::uint8_t* wire() const { return is_v4() ? bytes.data() + 12 : bytes.data(); }
};

/// An address block; `length` counts bits of its own family (0-32 or 0-128), the bits behind it are zero.
struct IpPrefix {
    IpAddress address;
    int length = 0;

    auto operator<=>(const IpPrefix&) const = default;

    /// The block of `length` bits around `address`: the bits behind them are cleared.
    static IpPrefix around(const IpAddress& address, int length);
    /// "ADDRESS" (the single address) or "ADDRESS/LENGTH". Refused where bits behind the length are set.
    static std::optional<IpPrefix> parse(std::string_view text);
    [[nodiscard]] bool is_single() const { return length == address.width(); }
    [[nodiscard]] bool contains(const IpPrefix& other) const;
    [[nodiscard]] bool contains(const IpAddress& other) const { return contains(IpPrefix{other, other.width()}); }
    [[nodiscard]] bool overlaps(const IpPrefix& other) const { return contains(other) || other.contains(*this); }
    /// Without "/LENGTH" for a single address.
    [[nodiscard]] std::string text() const;
};

}  // namespace viscum
