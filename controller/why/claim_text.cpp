// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/claim_text.h"

#include "base/text.h"

namespace viscum {
namespace {

std::optional<PortRange> parse_ports(std::string_view text) {
    if (text == "any") {
        return PortRange{};
    }
    const std::size_t dash = text.find('-');
    const auto first = parse_decimal(text.substr(0, dash), 65535);
    const auto last = dash == std::string_view::npos ? first : parse_decimal(text.substr(dash + 1), 65535);
    if (!first || !last) {
        return std::nullopt;
    }
    return PortRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

bool holds(const Claim& claim, const FlowQuery& query) {
    return claim.protocol == query.protocol && claim.prefix.contains(query.destination) &&
           claim.ports.first <= query.port && query.port <= claim.ports.last;
}

}  // namespace

std::optional<Claim> parse_claim(std::string_view text) {
    const std::size_t slash = text.rfind('/');
    const std::size_t colon = text.rfind(':');
    if (slash == std::string_view::npos || colon == std::string_view::npos || colon > slash) {
        return std::nullopt;
    }
    auto address = text.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']')) {
        address = address.substr(1, address.size() - 2);
    }
    const auto prefix = IpPrefix::parse(address);
    const auto ports = parse_ports(text.substr(colon + 1, slash - colon - 1));
    const auto protocol = text.substr(slash + 1);
    if (!prefix || !ports || (protocol != "tcp" && protocol != "udp")) {
        return std::nullopt;
    }
    return Claim{*prefix, *ports, protocol == "tcp" ? Protocol::tcp : Protocol::udp};
}

Ruling ruling_by_report(const FlowQuery& query, const DaemonReport& report) {
    Ruling ruling{.verdict = "unclaimed"};
    for (const auto& service : report.services) {
        for (const auto& each : service.claims) {
            const auto claim = parse_claim(each.claim);
            if (!claim || !holds(*claim, query) ||
                (ruling.claim && ruling.claim->prefix.length >= claim->prefix.length)) {
                continue;
            }
            ruling.claim = claim;
            ruling.verdict = each.admission == "serve"   ? "served"
                             : each.admission == "drain" ? "draining"
                                                         : "not-admitted";
        }
    }
    return ruling;
}

}  // namespace viscum
