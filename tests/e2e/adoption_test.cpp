// SPDX-License-Identifier: GPL-2.0-only
// Promise 3 at its sharpest: a viscumd that is killed and started again does not cost a single packet.
#include <doctest/doctest.h>

#include <chrono>
#include <sstream>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/support/bed.h"
#include "tests/support/flow_client.h"
#include "tests/support/servers.h"
#include "tests/support/viscumd.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

template <class T>
T must(Result<T> result) {
    REQUIRE_MESSAGE(result, (result ? "" : result.error().what));
    return std::move(*result);
}

/// Segments that the namespace's TCP sent again: a lost SYN shows here, and a lost SYN-ACK too.
std::string retransmitted(const NetNs& ns) {
    const std::string text = must(output_of({"cat", "/proc/net/snmp"}, {.ns = &ns}));
    std::istringstream names(text.substr(text.find("Tcp: ")));
    std::istringstream values(text.substr(text.find("\nTcp: ", text.find("Tcp: ")) + 1));
    std::string name;
    std::string value;
    while (name != "RetransSegs" && names >> name && values >> value) {
    }
    return value;
}

}  // namespace

TEST_CASE("adoption: viscumd killed and started again ten times costs no packet") {
    const auto bed = must(Bed::make({.clients = 1, .firewall = true}));
    auto viscumd =
        must(Viscumd::start(bed->hotspot(), {.config = "viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/24]\n"}));
    const Server local = must(nginx("local", "local", {"80"}));
    const std::string file =
        must(write_service("web", cat("viscum: 1\nname: web\nintercept: [{ address: 203.0.113.10, port: 80 }]\n"
                                      "run: { command: ['",
                                      join(local.command, "', '"), "'] }\nhealth: { http: { port: 80 } }\n")));
    const RunOutput deployed = viscumd.ctl({"deploy", file});
    REQUIRE_MESSAGE(deployed.success(), deployed.err);

    FlowClient client(bed->client(1), {.request = {.to = Endpoint::of("203.0.113.10", 80)}});
    REQUIRE(client.wait_for("local", {}, 5s));
    for (int round = 0; round < 10; ++round) {
        viscumd.kill();
        const auto started = viscumd.start_again();
        REQUIRE_MESSAGE(started, (started ? "" : started.error().what));
        REQUIRE(client.wait_for("local", boot_now(), 5s));
    }
    const FlowSummary summary = client.stop();
    CAPTURE(summary.text());
    CHECK(summary.local == summary.requests);
    CHECK(retransmitted(bed->client(1)) == "0");
}
