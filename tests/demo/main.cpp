// SPDX-License-Identifier: GPL-2.0-only
// The demonstration: two clients, a hotspot and a cloud on this machine, in namespaces of their own. Everything is
// real: nginx, dnsmasq and iperf3 as the services, viscumd in the hotspot, viscumctl as the operator.
// Exits with 0 only if every line was as expected.
#include <unistd.h>

#include <cstdio>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/demo/scenes.h"
#include "tests/demo/services.h"
#include "tests/demo/timeline.h"
#include "tests/support/leak.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr const char* kPicture =
    "  client1 --.                                  203.0.113.10  web    nginx\n"
    "             +-- hotspot = uplink 100M ==== cloud       .53  DNS    dnsmasq\n"
    "  client2 --'    viscumd                                .20  speed  iperf3\n";

constexpr std::chrono::seconds kLeakLimit{10};

int give_up(const Error& error) {
    std::fprintf(stderr, "The demonstration cannot be set up: %s\n", error.what.c_str());
    return 1;
}

void play(const Bed& bed, Viscumd& viscumd, Timeline& timeline) {
    const std::uint64_t uplink_at_start = bed.uplink_bytes() ? *bed.uplink_bytes() : 0;
    Demo demo(bed, viscumd, timeline);
    demo.before();
    demo.deploy();
    demo.measure();
    demo.crash();
    demo.hang();
    demo.crash_of_the_daemon();
    demo.maintenance();
    demo.remove();
    demo.account(uplink_at_start);
}

void look_for_leaks(const Snapshot& before, Timeline& timeline) {
    const auto leaks = leaks_since(before, kLeakLimit, viscumd_keeps);
    if (!leaks) {
        timeline.line("nothing is left behind", leaks.error().what, false);
        return;
    }
    timeline.line("left behind: namespaces, links, filters, mounts, processes, files", std::to_string(leaks->size()),
                  leaks->empty());
    timeline.note(join(*leaks, "\n"));
}

int demonstrate() {
    std::printf("Viscum, on this machine only: nothing here is sent anywhere else, and nothing stays.\n\n%s", kPicture);
    Timeline timeline;
    auto bed = Bed::make({.firewall = true});
    if (!bed) {
        return give_up(bed.error());
    }
    // An uplink as hotspots have it, in both directions.
    for (const NetNs* ns : {&(*bed)->hotspot(), &(*bed)->cloud()}) {
        const auto shaped = run(
            {"tc", "qdisc", "add", "dev", "wan", "root", "tbf", "rate", "100mbit", "burst", "128kb", "latency", "50ms"},
            {.ns = ns});
        if (!shaped.success()) {
            return give_up({0, cat("cannot shape the uplink: ", shaped.err)});
        }
    }
    const auto cloud = start_cloud(**bed);
    if (!cloud) {
        return give_up(cloud.error());
    }
    const BootTime start = boot_now();
    auto viscumd = Viscumd::start((*bed)->hotspot(), {.config = router_config()});
    if (!viscumd) {
        return give_up(viscumd.error());
    }
    timeline.chapter("viscumd starts in the hotspot");
    timeline.line("ready", duration_text(boot_now() - start), true);
    // It listens before all of it is open, and answers after that.
    if (const auto asked = run({VISCUM_BIN_DIR "/viscumctl", "list"}, {.ns = &(*bed)->hotspot()}); !asked.success()) {
        return give_up({0, cat("viscumd does not answer: ", asked.err)});
    }
    const auto before = take_snapshot();
    if (!before) {
        return give_up(before.error());
    }
    play(**bed, *viscumd, timeline);
    look_for_leaks(*before, timeline);
    if (timeline.failures() > 0) {
        std::printf("\n%d lines were not as expected. viscumd's log:\n%s", timeline.failures(), viscumd->log().c_str());
        return 1;
    }
    std::printf("\nEverything was as it should be.\n");
    return 0;
}

}  // namespace
}  // namespace viscum

int main() {
    if (geteuid() != 0) {
        std::fprintf(stderr, "The demonstration makes network namespaces, so it needs root: sudo make demo\n");
        return 1;
    }
    return viscum::run_in_sandbox(viscum::demonstrate);
}
