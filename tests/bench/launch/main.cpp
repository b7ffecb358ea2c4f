// SPDX-License-Identifier: GPL-2.0-only
// From the request to the first instruction of a service's program. viscum-bench-launch [--quick]
//
// Services with everything on: the groups with their limits, the sandbox with its filter, the network namespace that is
// there already. Beside them what else starts programs in a box, in the same rounds; each includes what its name says,
// which the program that is started sees for itself.
#include <thread>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/bench/launch/starters.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr int kRounds = 50;
constexpr int kQuickRounds = 3;
constexpr Millis kPause{100};  // for what others leave running behind them
constexpr const char* kNetwork = "bench";
constexpr const char* kFigure = "to the first instruction";

double measure(const Starter& starter, ino_t network) {
    const BootTime from = boot_now();
    const std::string said = starter.start();
    const auto stamp = last_stamp(said);
    if (!stamp) {
        give_up(cat(starter.name, ": ", said));
    }
    if (const std::string wrong = complaint(starter, *stamp, network); !wrong.empty()) {
        give_up(cat(starter.name, ": ", wrong));
    }
    return static_cast<double>(stamp->when - from.count()) / 1e6;
}

int compare(Scale scale) {
    const int rounds = scale == Scale::full ? kRounds : kQuickRounds;
    Measurements figures(
        "launch",
        cat("From the request to the first instruction of a static program, ", rounds,
            " rounds, all in turn. Viscum makes the control groups, starts its shim and builds the sandbox, from a "
            "process that runs already, as viscumd does. crun, podman and ip are programs that are executed first, as "
            "whoever "
            "uses them must. All but podman enter a network namespace that is there; podman makes one."),
        scale);
    const NetNs network = must(NetNs::create(kNetwork));
    std::vector<std::string> missing;
    const auto starters = make_starters(kNetwork, network, missing);
    for (const std::string& one : missing) {
        figures.note(one);
    }
    for (int round = 0; round < rounds; ++round) {
        for (const Starter& starter : starters) {
            figures.add(starter.name, kFigure, "ms", measure(starter, network.inode()));
            std::this_thread::sleep_for(kPause);
        }
    }
    for (const Starter& starter : starters) {
        if (starter.name.starts_with("viscum")) {
            figures.expect(Target::Bound::at_most, starter.name, kFigure, 5);
            for (const Starter& peer : starters) {
                if (peer.name.starts_with("crun") && peer.group) {
                    figures.expect_ratio(Target::Bound::at_most, starter.name, peer.name, kFigure, 0.5);
                }
            }
        }
    }
    must(figures.finish());
    return 0;
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::compare(scale); });
}
