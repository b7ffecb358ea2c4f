// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/check.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;

namespace {

ServiceSpec service(const std::string& name, std::string_view prefix, PortRange ports = {},
                    Protocol protocol = Protocol::tcp) {
    ServiceSpec spec;
    spec.name = name;
    spec.intercept = {{*IpPrefix::parse(prefix), ports, protocol}};
    return spec;
}

RouterConfig claimable(std::vector<ClaimableSpec> entries) {
    RouterConfig config;
    config.claimable = std::move(entries);
    return config;
}

const RouterConfig kEverything = claimable({{*IpPrefix::parse("0.0.0.0/0"), {}}, {*IpPrefix::parse("::/0"), {}}});

std::string said(const ServiceSpec& spec, const RouterConfig& config, const OwnNetworks& own = {},
                 const std::vector<ServiceSpec>& others = {}) {
    return join(check_claims(spec, config, own, others), "\n");
}

}  // namespace

TEST_CASE("spec: a claim within claimable is permitted") {
    const auto config =
        claimable({{*IpPrefix::parse("203.0.113.0/24"), {}}, {*IpPrefix::parse("2001:db8::/32"), {443, 443}}});
    CHECK(said(service("a", "203.0.113.10", {443, 443}), config) == "");
    CHECK(said(service("a", "203.0.113.0/24"), config) == "");
    CHECK(said(service("a", "2001:db8::10", {443, 443}, Protocol::udp), config) == "");
}

TEST_CASE("spec: a claim outside claimable is refused, and a near entry is named") {
    const auto config =
        claimable({{*IpPrefix::parse("203.0.113.0/24"), {443, 443}}, {*IpPrefix::parse("203.0.113.0/25"), {80, 90}}});
    CHECK(said(service("a", "198.51.100.1", {443, 443}), config) ==
          "198.51.100.1:443/tcp is not within 'claimable' of the router's configuration");
    CHECK(said(service("a", "203.0.113.200", {80, 80}), config) ==
          "203.0.113.200:80/tcp is not within 'claimable' of the router's configuration: 203.0.113.0/24 is claimable "
          "at port 443 only");
    CHECK(said(service("a", "203.0.113.1", {85, 91}), config) ==
          "203.0.113.1:85-91/tcp is not within 'claimable' of the router's configuration: 203.0.113.0/25 is claimable "
          "at port 80-90 only");
    CHECK(said(service("a", "203.0.112.0/23", {443, 443}), config) ==
          "203.0.112.0/23:443/tcp is not within 'claimable' of the router's configuration");
    CHECK(said(service("a", "203.0.113.1"), claimable({})) ==
          "203.0.113.1:any/tcp is not within 'claimable' of the router's configuration");
}

TEST_CASE("spec: some addresses are never claimable, whatever claimable says") {
    const std::vector<std::pair<std::string, std::string>> never{
        {"0.0.0.0", "an unspecified address"},   {"127.0.0.53", "a loopback address"},
        {"169.254.1.1", "a link-local address"}, {"224.0.0.251", "a multicast address"},
        {"239.1.2.3", "a multicast address"},    {"255.255.255.255", "the broadcast address"},
        {"::", "the unspecified address"},       {"::1", "the loopback address"},
        {"fe80::1", "a link-local address"},     {"ff02::fb", "a multicast address"}};
    for (const auto& [address, what] : never) {
        const bool v6 = address.find(':') != std::string::npos;
        CHECK(said(service("a", address, {53, 53}, Protocol::udp), kEverything) ==
              (v6 ? "[" + address + "]" : address) + ":53/udp is " + what + ", which is never claimable");
    }
    CHECK(said(service("a", "0.0.0.0/0"), kEverything) ==
          "0.0.0.0/0:any/tcp covers 0.0.0.0/8, which is never claimable");
    CHECK(said(service("a", "::/64"), kEverything) == "[::/64]:any/tcp covers ::, which is never claimable");
    CHECK(said(service("a", "224.0.0.0/4"), kEverything) ==
          "224.0.0.0/4:any/tcp covers 224.0.0.0/4, which is never claimable");
}

TEST_CASE("spec: the router's own networks are never claimable, from within and from above") {
    const OwnNetworks own{*IpPrefix::parse("10.77.0.0/16"), *IpPrefix::parse("2001:db8:1::/64")};
    CHECK(said(service("a", "10.77.0.1", {80, 80}), kEverything, own) ==
          "10.77.0.1:80/tcp overlaps 10.77.0.0/16, a network of this router, which is never claimable");
    CHECK(said(service("a", "10.0.0.0/8"), kEverything, own) ==
          "10.0.0.0/8:any/tcp overlaps 10.77.0.0/16, a network of this router, which is never claimable");
    CHECK(said(service("a", "2001:db8:1::5", {80, 80}), kEverything, own) ==
          "[2001:db8:1::5]:80/tcp overlaps 2001:db8:1::/64, a network of this router, which is never claimable");
    CHECK(said(service("a", "10.78.0.1"), kEverything, own) == "");
}

TEST_CASE("spec: the aliases are never claimable, from within and from above") {
    const std::string why = ", which 'aliases' of the router's configuration keeps for itself";
    CHECK(said(service("a", "198.19.0.1", {80, 80}), kEverything) == "198.19.0.1:80/tcp overlaps 198.19.0.0/16" + why);
    CHECK(said(service("a", "198.18.0.0/15"), kEverything) == "198.18.0.0/15:any/tcp overlaps 198.19.0.0/16" + why);
    CHECK(said(service("a", "fd76:6973:6375:6d::5", {80, 80}), kEverything) ==
          "[fd76:6973:6375:6d::5]:80/tcp overlaps fd76:6973:6375:6d::/64" + why);
    auto moved = kEverything;
    moved.aliases.v4 = *IpPrefix::parse("10.99.0.0/16");
    CHECK(said(service("a", "198.19.0.1"), moved) == "");
    CHECK(said(service("a", "10.99.1.1"), moved) == "10.99.1.1:any/tcp overlaps 10.99.0.0/16" + why);
}

TEST_CASE("spec: two services may not claim the same, and both are named") {
    const std::vector<ServiceSpec> others{service("web", "203.0.113.10", {80, 90}),
                                          service("dns", "203.0.113.53", {53, 53}, Protocol::udp)};
    CHECK(said(service("a", "203.0.113.10", {85, 85}), kEverything, {}, others) ==
          "203.0.113.10:85/tcp of 'a' conflicts with 203.0.113.10:80-90/tcp of 'web'");
    CHECK(said(service("a", "203.0.113.53"), kEverything, {}, others) == "");
    CHECK(said(service("a", "203.0.113.53", {}, Protocol::udp), kEverything, {}, others) ==
          "203.0.113.53:any/udp of 'a' conflicts with 203.0.113.53:53/udp of 'dns'");
}

TEST_CASE("spec: a service never conflicts with itself, nor with a longer or shorter prefix") {
    CHECK(said(service("web", "203.0.113.10"), kEverything, {}, {service("web", "203.0.113.10")}) == "");
    CHECK(said(service("a", "203.0.113.0/24"), kEverything, {}, {service("web", "203.0.113.10")}) == "");
    CHECK(said(service("a", "203.0.113.10"), kEverything, {}, {service("web", "203.0.113.0/24")}) == "");
}

TEST_CASE("spec: every claim is judged by itself") {
    auto spec = service("a", "127.0.0.1");
    spec.intercept.push_back({*IpPrefix::parse("203.0.113.10"), {80, 80}, Protocol::tcp});
    spec.intercept.push_back({*IpPrefix::parse("198.51.100.1"), {}, Protocol::tcp});
    CHECK(said(spec, claimable({{*IpPrefix::parse("203.0.113.0/24"), {}}}), {}, {service("web", "203.0.113.10")}) ==
          "127.0.0.1:any/tcp is a loopback address, which is never claimable\n"
          "203.0.113.10:80/tcp of 'a' conflicts with 203.0.113.10:any/tcp of 'web'\n"
          "198.51.100.1:any/tcp is not within 'claimable' of the router's configuration");
}

TEST_CASE("spec: what stands in for services on the router is no target of egress") {
    ServiceSpec spec = service("a", "203.0.113.10", {443, 443});
    spec.egress.targets = {{*IpPrefix::parse("192.0.2.53"), {53, 53}, Protocol::udp}};
    CHECK(said(spec, kEverything) == "");
    spec.egress.targets.push_back({*IpPrefix::parse("198.18.0.0/15"), {}, Protocol::tcp});
    CHECK(said(spec, kEverything) ==
          "egress to 198.18.0.0/15:any/tcp overlaps 198.19.0.0/16, which 'aliases' of the router's configuration keeps "
          "for itself");
}
