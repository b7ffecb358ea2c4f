// SPDX-License-Identifier: GPL-2.0-only
// How a service on the router is reached, and what that costs: by Viscum, in the router's own namespace (the limit), by
// plain routing, by address translation, and through proxies. viscum-bench-path [--quick]
//
// Each way has a client, a hotspot and a cloud of its own, side by side, so that none has to bear another's hooks; the
// servers are the same. Client, router and server share this machine's processors.
#include "base/text.h"
#include "tests/bench/load/tracked.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/bench/path/subject.h"
#include "tests/support/sandbox.h"

#include <algorithm>

namespace viscum {
namespace {

constexpr int kRounds = 5;
constexpr std::uint32_t kHeld = 100'000;
constexpr std::uint32_t kQuickHeld = 5'000;

constexpr const char* kLimit = "router's own namespace";
constexpr const char* kBoxed = "router's own namespace, with a service's sandbox";
constexpr const char* kViscum = "viscum";
constexpr const char* kWithRules = "viscum, router rules";
constexpr const char* kNft = "nft DNAT";
constexpr const char* kHaproxy = "HAProxy";
constexpr const char* kMemory = "memory per connection";
constexpr const char* kTracked = "tracked after connections/s";

constexpr Load kLoads[] = {Load::connections, Load::requests,       Load::one_stream,    Load::streams,
                           Load::datagrams,   Load::tcp_round_trip, Load::udp_round_trip};

std::vector<SubjectSpec> specs(Scale scale) {
    const std::uint32_t held = scale == Scale::full ? kHeld : kQuickHeld;
    return {{kLimit, Way::own},
            {kBoxed, Way::boxed},
            {kViscum, Way::viscum},
            {kWithRules, Way::viscum, true},
            {"routed namespace", Way::routed},
            {kNft, Way::nft},
            {"nft DNAT, router rules", Way::nft, true},
            {cat("nft DNAT, ", number_text(held), " connections open"), Way::nft, false, held},
            {"iptables DNAT", Way::iptables},
            {kHaproxy, Way::haproxy},
            {"socat", Way::socat}};
}

class Bench {
public:
    explicit Bench(Scale scale)
        : figures_("path",
                   cat("A client behind a bridge reaches nginx, iperf3 and sockperf on the router, in ",
                       scale == Scale::full ? kRounds : 1,
                       " rounds of a second each, all ways in turn, every time from an address of its own. wrk with 32 "
                       "connections (connections/s: one for each request); datagrams of 64 bytes, those that arrive; "
                       "round trips of 64 bytes. Client, router and servers share the processors."),
                   scale) {
        int number = 0;
        for (const SubjectSpec& spec : specs(scale)) {
            auto subject = Subject::make(++number, spec);
            const bool needed = spec.way == Way::own || spec.way == Way::viscum;
            if (!subject && needed) {
                give_up(subject.error().what);
            }
            if (!subject) {
                figures_.note(cat("left out: ", split(subject.error().what, '\n').front()));
                continue;
            }
            subjects_.push_back(std::move(*subject));
        }
        figures_.note(
            "HAProxy and socat reach their servers over the router's loopback; HAProxy as it is configured "
            "by default, without splicing.");
    }

    int run() {
        for (int round = 0; round < (figures_.scale() == Scale::full ? kRounds : 1); ++round) {
            for (const Load load : kLoads) {
                for (const auto& subject : subjects_) {
                    if (subject->takes(load)) {
                        measure(*subject, load);
                    }
                }
                // What comes first may have it easier, or harder.
                std::ranges::reverse(subjects_);
            }
        }
        set_targets();
        must(figures_.finish());
        return 0;
    }

private:
    void measure(Subject& subject, Load load) {
        const Loaded loaded = must(subject.measure(load, figures_.scale()));
        if (is_round_trip(load)) {
            figures_.add(subject.name(), cat(name_of(load), " p50"), unit_of(load), loaded.value);
            figures_.add(subject.name(), cat(name_of(load), " p99"), unit_of(load), loaded.p99);
        } else {
            figures_.add(subject.name(), name_of(load), unit_of(load), loaded.value);
        }
        if (load == Load::connections) {
            figures_.add(subject.name(), kTracked, "", static_cast<double>(subject.tracked()));
            if (subject.bytes_per_connection() > 0) {
                figures_.add(subject.name(), kMemory, "bytes", subject.bytes_per_connection());
            }
        }
    }

    void set_targets() {
        constexpr double kShare = 0.97;
        for (const Load load : kLoads) {
            for (const char* ours : {kViscum, kWithRules}) {
                if (is_round_trip(load)) {
                    for (const char* rank : {" p50", " p99"}) {
                        figures_.expect_ratio(Target::Bound::at_most, ours, kLimit, cat(name_of(load), rank),
                                              1 / kShare);
                    }
                } else {
                    figures_.expect_ratio(Target::Bound::at_least, ours, kLimit, name_of(load), kShare);
                }
            }
        }
        for (const Load load : {Load::connections, Load::requests}) {
            figures_.expect_ratio(Target::Bound::at_least, kViscum, kNft, name_of(load), 1.25);
            figures_.expect_ratio(Target::Bound::at_least, kViscum, kHaproxy, name_of(load), 1.8);
        }
        for (const Load load : {Load::one_stream, Load::streams}) {
            figures_.expect_ratio(Target::Bound::at_least, kViscum, kNft, name_of(load), 1.1);
            figures_.expect_ratio(Target::Bound::at_least, kViscum, kHaproxy, name_of(load), 2.7);
        }
    }

    Measurements figures_;
    std::vector<std::unique_ptr<Subject>> subjects_;
};

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::Bench(scale).run(); });
}
