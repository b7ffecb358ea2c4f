// SPDX-License-Identifier: GPL-2.0-only
#include "tests/examples/example.h"

namespace viscum {
namespace {

/// A query for edge.example, type A (RFC 1035, section 4).
const std::string kEdgeQuery(
    "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04"
    "edge\x07"
    "example\x00\x00\x01\x00\x01",
    30);

}  // namespace

TEST_CASE("dns: dnsmasq knows edge.example over both families") {
    Example example("dns");
    example.deploy();
    for (const auto& address : {"203.0.113.53", "2001:db8:c::53"}) {
        const auto answer =
            udp_query(example.bed().client(1), {.to = Endpoint::of(address, 53), .payload = kEdgeQuery});
        REQUIRE_MESSAGE(answer.answered, answer.error);
        CHECK(answer.source == Endpoint::of(address, 53));
        CHECK(answer.reply.ends_with(std::string("\xcb\x00\x71\x0a", 4)));
    }
    example.end({"dns"});
}

}  // namespace viscum
