// SPDX-License-Identifier: GPL-2.0-only
#include "tests/examples/example.h"

namespace viscum {

TEST_CASE("speedtest: iperf3 measures the way to the hotspot") {
    Example example("speedtest");
    example.deploy();
    const Endpoint speed = Endpoint::of("203.0.113.20", 5201);
    for (const bool udp : {false, true}) {
        const auto measured = must(measure_speed(example.bed().client(1), speed, udp, 1));
        CHECK(measured.bits_per_second > 0);
    }
    for (const auto& claim : example.scene().status("speedtest").claims) {
        const bool asked = claim.claim.starts_with("203.0.113.20");
        CHECK((claim.flows > 0) == asked);
    }
    example.end({"speedtest"});
}

}  // namespace viscum
