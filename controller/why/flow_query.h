// SPDX-License-Identifier: GPL-2.0-only
// The question of `viscumctl why`. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "base/result.h"
#include "controller/spec/service_spec.h"

namespace viscum {

/// Whose packet is asked about.
struct FlowQuery {
    IpAddress source;
    std::optional<std::uint16_t> source_port;  // nullopt: a flow that there is not yet
    IpAddress destination;
    std::uint16_t port = 0;
    Protocol protocol = Protocol::tcp;

    bool operator==(const FlowQuery&) const = default;
    /// A claim of what is asked for, and of nothing else.
    [[nodiscard]] Claim claim() const { return {{destination, destination.width()}, {port, port}, protocol}; }
    /// "10.77.0.10" or "10.77.0.10:40000", "[2001:db8::10]:40000"
    [[nodiscard]] std::string source_text() const;
    /// "203.0.113.10:443/tcp"
    [[nodiscard]] std::string destination_text() const;
};

/// SRC and DST as an operator writes them: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, and ADDRESS:PORT/PROTOCOL (tcp
/// where none stands). The error says which part is wrong and how it is written.
Result<FlowQuery> parse_flow(std::string_view source, std::string_view destination);

}  // namespace viscum
