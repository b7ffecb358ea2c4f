// SPDX-License-Identifier: GPL-2.0-only
// What the rules cost those whom they do not concern: traffic through the hotspot to an address that nobody claims,
// without Viscum, with Viscum and 1 to 10,000 rules, and with other means to the same end. viscum-bench-transit
// [--quick]
//
// Each has a client, a hotspot and a cloud of its own, side by side. Client, router and cloud share this machine's
// processors.
#include "base/text.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/bench/transit/transit.h"
#include "tests/support/sandbox.h"

#include <algorithm>

namespace viscum {
namespace {

constexpr int kRounds = 5;
constexpr const char* kNone = "no Viscum";
constexpr const char* kViscum = "viscum";
constexpr double kShare = 0.98;

constexpr Load kLoads[] = {Load::connections, Load::one_stream, Load::datagrams, Load::tcp_round_trip};

std::vector<TransitSpec> specs(Scale scale) {
    std::vector<TransitSpec> all{{kNone, Rules::none, 0}};
    for (const int count : {1, 100, 10'000}) {
        all.push_back({kViscum, Rules::viscum, count});
    }
    for (const auto& [name, rules] : {std::pair{"TC u32", Rules::u32}, std::pair{"iptables DNAT", Rules::iptables},
                                      std::pair{"nft DNAT by a map", Rules::nft_map}}) {
        for (const int count : scale == Scale::full ? std::vector{1, 100, 1'000, 10'000} : std::vector{1, 1'000}) {
            all.push_back({name, rules, count});
        }
    }
    return all;
}

std::optional<double> at_of(const TransitSpec& spec) {
    return spec.count > 0 ? std::optional<double>(spec.count) : std::nullopt;
}

class Bench {
public:
    explicit Bench(Scale scale)
        : figures_(
              "transit",
              cat("A client behind a bridge reaches nginx, iperf3 and sockperf in the cloud, at an address that no "
                  "rule names, in ",
                  scale == Scale::full ? kRounds : 1,
                  " rounds of a second each, all in turn, every time from an address of its own. A rule is an "
                  "address with a TCP port; viscum's are claims of deployed services. Client, router and cloud "
                  "share the processors."),
              scale) {
        int number = 0;
        for (const TransitSpec& spec : specs(scale)) {
            auto transit = Transit::make(++number, spec);
            if (!transit && (spec.rules == Rules::none || spec.rules == Rules::viscum)) {
                give_up(transit.error().what);
            }
            if (!transit) {
                figures_.note(cat("left out: ", split(transit.error().what, '\n').front()));
                continue;
            }
            transits_.push_back(std::move(*transit));
        }
    }

    int run() {
        for (int round = 0; round < (figures_.scale() == Scale::full ? kRounds : 1); ++round) {
            for (const Load load : kLoads) {
                for (const auto& transit : transits_) {
                    measure(*transit, load);
                }
            }
            // What comes first may have it easier, or harder.
            std::ranges::reverse(transits_);
        }
        for (const int count : {1, 100, 10'000}) {
            for (const Load load : kLoads) {
                set_targets(load, count);
            }
        }
        must(figures_.finish());
        return 0;
    }

private:
    void measure(Transit& transit, Load load) {
        const Loaded loaded = must(transit.measure(load, figures_.scale()));
        const TransitSpec& spec = transit.spec();
        if (is_round_trip(load)) {
            figures_.add(spec.name, cat(name_of(load), " p50"), unit_of(load), loaded.value, at_of(spec));
            figures_.add(spec.name, cat(name_of(load), " p99"), unit_of(load), loaded.p99, at_of(spec));
        } else {
            figures_.add(spec.name, name_of(load), unit_of(load), loaded.value, at_of(spec));
        }
    }

    void set_targets(Load load, int count) {
        if (is_round_trip(load)) {
            figures_.expect_ratio(Target::Bound::at_most, kViscum, kNone, cat(name_of(load), " p50"), 1 / kShare,
                                  count);
        } else {
            figures_.expect_ratio(Target::Bound::at_least, kViscum, kNone, name_of(load), kShare, count);
        }
    }

    Measurements figures_;
    std::vector<std::unique_ptr<Transit>> transits_;
};

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::Bench(scale).run(); });
}
