// SPDX-License-Identifier: GPL-2.0-only
// What services saved, day by day: made of samples of counters that only grow, and that begin anew at 0 where the
// machine starts, a claim is given up and taken again, or a link is made. Pure: it is given the clock.
//
// What was counted last is kept beside the days (LastSeen), so that each packet counts once, also where viscumd was
// away, and with it the boot of the machine whose counters they were.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "controller/savings/figures.h"

namespace viscum {

/// Of one claim: flows, bytes in and out, flows given to the cloud, and packets by reason.
struct ClaimNumbers {
    std::uint64_t flows = 0, bytes_in = 0, bytes_out = 0, flows_cloud = 0;
    std::array<std::uint64_t, kCloudReasons.size()> cloud{};
    bool operator==(const ClaimNumbers&) const = default;
};
/// Of one link: bytes of flows that its service began.
struct LinkNumbers {
    std::uint64_t in = 0, out = 0;
    bool operator==(const LinkNumbers&) const = default;
};

struct LastSeen {
    std::map<std::string, ClaimNumbers> claims;
    std::map<std::uint32_t, LinkNumbers> links;  // by the device's number, which is never given twice
    bool operator==(const LastSeen&) const = default;
};

struct ServiceSample {
    std::string name;
    std::map<std::string, ClaimNumbers> claims;
    std::map<std::uint32_t, LinkNumbers> links;
    std::uint64_t failovers = 0, failover_us = 0;  // since viscumd started
    std::int64_t probe_us = -1;                    // of the last healthy probe; -1: none
    bool sums = false;                             // counters are sums of some that go one by one: less is no beginning
    bool known = true;                             // false: its counters cannot be read now, and count later
    bool links_known = true;                       // false: `links` may lack some that are there
};

/// Where new flows of a service go.
enum class Serving : std::uint8_t { here, drained, cloud, ended };  // ended: all claims are over, as its file says

/// A time by both clocks.
struct Moment {
    BootTime at{};
    Day day = kUndated;
    bool sure = false;  // the clock follows others: what stands on later days is wrong
};

/// What is in a file: see ledger_file.h.
struct LedgerState {
    std::uint64_t sequence = 0;
    std::string boot;   // whose counters `seen` tells
    bool whole = true;  // false: there were more claims than fit, and what is not in `seen` is not known
    Day newest = kUndated;
    DayRows rows;
    std::map<std::string, LastSeen> seen;
    bool operator==(const LedgerState&) const = default;
};

class Ledger {
public:
    /// `boot`: of the machine, now.
    explicit Ledger(std::string boot) : boot_(std::move(boot)) { state_.boot = boot_; }

    /// What was kept before; once, before the first sample. Without it the first sample is where counting begins.
    void adopt(LedgerState state);

    /// `all`: no other services are there; what was known of others is forgotten, but for their days.
    void sample(const std::vector<ServiceSample>& services, const Moment& now, bool all);
    /// Where new flows of a service go from now on.
    void stand(const std::string& service, Serving serving, const Moment& now);
    /// How long a handshake with the cloud took; a negative number: it did not come about.
    void cloud_answered(const std::string& service, std::int64_t us, const Moment& now);

    /// The days since rows were last taken().
    [[nodiscard]] const LedgerState& state() const { return state_; }
    /// Whether there is anything new since the last saved(), and whether more than time and round trips.
    [[nodiscard]] bool changed() const { return changed_; }
    [[nodiscard]] bool counted() const { return counted_; }
    /// Whether what is kept is to be written soon: counters are gone that nobody can ask again.
    [[nodiscard]] bool urgent() const { return urgent_; }
    void saved() { changed_ = counted_ = urgent_ = false; }
    /// The rows are in the long file, whose sequence number this is.
    void taken(std::uint64_t sequence);
    [[nodiscard]] bool has_past_days(Day today) const;
    /// The day on which something counts now, to which rows are moved that had none yet; kUndated while the clock says
    /// less than it did before, and nobody has set it.
    Day settle(const Moment& now);

private:
    struct Standing {
        Serving serving = Serving::cloud;
        BootTime since{};
        std::uint64_t failovers = 0, failover_us = 0;
        std::int64_t probe_us = -1;
    };
    DayFigures& row(const std::string& service, const Moment& now);
    Day day_of_count(const Moment& now);
    void pass_time(const std::string& service, Standing& standing, const Moment& now);
    void add(const ServiceSample& sample, const Moment& now);

    std::string boot_;
    LedgerState state_;
    std::map<std::string, Standing> standing_;
    std::optional<Moment> settled_;  // for which the rows stand on their days
    Day settled_day_ = kUndated;
    bool begins_ = true;  // counters as they are now are where counting begins, where nothing was seen before
    bool changed_ = false;
    bool counted_ = false;
    bool urgent_ = false;
};

}  // namespace viscum
