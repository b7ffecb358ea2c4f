// SPDX-License-Identifier: GPL-2.0-only
// A speed test to the hotspot instead of through its uplink.
#include <iomanip>
#include <sstream>

#include "tests/examples/example.h"
#include "tests/support/campaign.h"

namespace viscum {
namespace {

constexpr int kSeconds = 1;
const Endpoint kSpeed = Endpoint::of("203.0.113.20", 5201);

// What the uplink's queue holds: 8 Mbit/s for 100 ms, and a burst of 32 KiB; with resets as an answer. iperf3 closes
// its end while data is under way, and what has no socket any more goes to the cloud, which knows nothing of it.
constexpr std::uint64_t kUnderWay = 140'000;

struct Measured {
    std::string rate;         // "7.5 Mbit/s"
    std::uint64_t carried{};  // bytes of the test, as iperf3 counts them
    std::uint64_t crossed{};  // bytes over the uplink meanwhile
};

Measured measure(Example& example, bool udp) {
    const std::uint64_t before = example.uplink_bytes();
    const Speed speed = must(measure_speed(example.bed().client(1), kSpeed, udp, kSeconds));
    CHECK(speed.bits_per_second > 0);
    std::ostringstream rate;
    rate << std::fixed << std::setprecision(1) << speed.bits_per_second / 1e6 << " Mbit/s";
    return {rate.str(), static_cast<std::uint64_t>(speed.bits_per_second / 8 * kSeconds),
            example.uplink_bytes() - before};
}

}  // namespace

TEST_CASE("speedtest: iperf3 measures the way to the hotspot, and the uplink carries nothing of it") {
    if (!lacks({"iperf3"}).empty()) {
        return;
    }
    Example example("speedtest");
    example.scene().start_in_cloud(iperf3_server(""), kSpeed.port);
    example.slow_uplink("8mbit");
    const Measured cloud = measure(example, false);
    CHECK(cloud.crossed > 100'000);
    example.deploy();
    const Measured local = measure(example, false);
    const Measured local_udp = measure(example, true);
    CHECK(local.carried > 10 * kUnderWay);
    CHECK(local.crossed + local_udp.crossed < kUnderWay);
    for (const auto& claim : example.scene().status("speedtest").claims) {
        const bool asked = claim.claim.starts_with("203.0.113.20");
        CHECK((claim.flows > 0) == asked);
    }
    example.scene().ctl({"remove", "speedtest", "--wait", "5s"});
    const Measured again = measure(example, false);
    CHECK(again.crossed > 100'000);
    must(record({"example-speedtest",
                 "Example speedtest: a TCP test of a second over an uplink of 8 Mbit/s",
                 "examples -tc='speedtest*'",
                 {{"to the cloud", cloud.rate},
                  {"over the uplink, to the cloud", amount(cloud.crossed)},
                  {"to the hotspot", local.rate},
                  {"over the uplink, to the hotspot", amount(local.crossed)},
                  {"to the hotspot, UDP", local_udp.rate}}}));
    example.end({});
}

}  // namespace viscum
