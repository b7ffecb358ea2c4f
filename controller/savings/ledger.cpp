// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/ledger.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace viscum {
namespace {

constexpr auto kPlain = {&ClaimNumbers::flows, &ClaimNumbers::bytes_in, &ClaimNumbers::bytes_out,
                         &ClaimNumbers::flows_cloud};

/// Whether a counter is less than it was: all of them began anew.
bool began_anew(const ClaimNumbers& before, const ClaimNumbers& now) {
    bool less = std::any_of(kPlain.begin(), kPlain.end(), [&](auto member) { return now.*member < before.*member; });
    for (std::size_t reason = 0; reason < now.cloud.size(); ++reason) {
        less = less || now.cloud.at(reason) < before.cloud.at(reason);
    }
    return less;
}

void add_difference(DayFigures& to, ClaimNumbers before, const ClaimNumbers& now, bool sums) {
    if (began_anew(before, now)) {
        before = sums ? now : ClaimNumbers{};
    }
    DayFigures more;
    more.flows = now.flows - before.flows;
    more.bytes_in = now.bytes_in - before.bytes_in;
    more.bytes_out = now.bytes_out - before.bytes_out;
    more.flows_cloud = now.flows_cloud - before.flows_cloud;
    for (std::size_t reason = 0; reason < now.cloud.size(); ++reason) {
        more.cloud.at(reason) = now.cloud.at(reason) - before.cloud.at(reason);
    }
    to.add(more);
}

void add_difference(DayFigures& to, LinkNumbers before, const LinkNumbers& now, bool) {
    if (now.in < before.in || now.out < before.out) {
        before = {};
    }
    DayFigures more;
    more.uplink_in = now.in - before.in;
    more.uplink_out = now.out - before.out;
    to.add(more);
}

/// Adds what was counted since it was `seen`, which it is then. Whether a counter is gone.
template <class Numbers>
bool count(DayFigures& to, Numbers& seen, const Numbers& now, bool begins, bool sums) {
    for (const auto& [key, numbers] : now) {
        const auto known = seen.find(key);
        if (known != seen.end()) {
            add_difference(to, known->second, numbers, sums);
        } else if (!begins) {
            add_difference(to, {}, numbers, sums);
        }
    }
    const bool lost = std::any_of(seen.begin(), seen.end(), [&](const auto& was) { return !now.contains(was.first); });
    seen = now;
    return lost;
}

}  // namespace

void Ledger::adopt(LedgerState state) {
    state_ = std::move(state);
    settled_.reset();
    begins_ = false;
    if (state_.boot != boot_) {
        state_.seen.clear();  // of an earlier boot: all counters have begun at 0 since
    } else if (!state_.whole) {
        begins_ = true;
    }
    state_.boot = boot_;
    state_.whole = true;
}

/// What is written between two looks at the clock stands where it says: only another day or trust moves rows.
Day Ledger::settle(const Moment& now) {
    if (!settled_ || settled_->day != now.day || settled_->sure != now.sure) {
        settled_ = now;
        settled_day_ = day_of_count(now);
    }
    return settled_day_;
}

/// The day on which something counts now. Once the clock is to be trusted, what was counted before stands there, too.
Day Ledger::day_of_count(const Moment& now) {
    // A clock that is behind what was written down was not set yet. A day back is a router that was taken elsewhere.
    const bool behind = now.day < state_.newest - 1;
    if (now.day == kUndated || (behind && !now.sure)) {
        return kUndated;
    }
    const auto moves = [&](Day day) { return day == kUndated || (now.sure && day > now.day + 1); };
    move_days(state_.rows, now.day, moves);
    if (now.day > state_.newest || (now.sure && behind)) {
        state_.newest = now.day;
    }
    return now.day;
}

DayFigures& Ledger::row(const std::string& service, const Moment& now) {
    const Day day = settle(now);
    DayFigures& found = state_.rows[{service, day}];
    if (state_.rows.size() <= kRowsKept) {
        return found;
    }
    prune(state_.rows, std::max(day, state_.newest));
    return state_.rows[{service, day}];
}

void Ledger::pass_time(const std::string& service, Standing& standing, const Moment& now) {
    const auto passed = std::chrono::duration_cast<Millis>(now.at - standing.since);
    if (standing.since == BootTime{} || passed.count() <= 0) {
        standing.since = standing.since == BootTime{} ? now.at : standing.since;
        return;
    }
    standing.since += passed;
    if (standing.serving == Serving::ended) {
        return;  // neither an outage nor a wish of today's
    }
    const auto where = standing.serving == Serving::here      ? &DayFigures::served_ms
                       : standing.serving == Serving::drained ? &DayFigures::drained_ms
                                                              : &DayFigures::cloud_ms;
    DayFigures& figures = row(service, now);
    figures.*where = add_up(figures.*where, static_cast<std::uint64_t>(passed.count()));
    changed_ = true;
}

void Ledger::add(const ServiceSample& sample, const Moment& now) {
    Standing& standing = standing_[sample.name];
    pass_time(sample.name, standing, now);
    if (!sample.known) {
        return;
    }
    DayFigures more;
    LastSeen& seen = state_.seen[sample.name];
    const bool claims_lost = count(more, seen.claims, sample.claims, begins_, sample.sums);
    auto links = sample.links;
    if (!sample.links_known) {
        links.insert(seen.links.begin(), seen.links.end());
    }
    const bool links_lost = count(more, seen.links, links, begins_, sample.sums);
    urgent_ = urgent_ || claims_lost || links_lost;
    // These begin at 0 with viscumd, and with the service.
    const bool anew = sample.failovers < standing.failovers || sample.failover_us < standing.failover_us;
    more.failovers = sample.failovers - (anew ? 0 : standing.failovers);
    more.failover_us = sample.failover_us - (anew ? 0 : standing.failover_us);
    standing.failovers = sample.failovers;
    standing.failover_us = sample.failover_us;
    if (sample.probe_us >= 0 && sample.probe_us != standing.probe_us && standing.serving == Serving::here) {
        const auto us = static_cast<std::uint64_t>(sample.probe_us);
        more.here = {1, us, us};
        standing.probe_us = sample.probe_us;
    }
    if (!more.empty()) {
        row(sample.name, now).add(more);
        changed_ = true;
        more.here = {};
        counted_ = counted_ || !more.empty();
    }
}

void Ledger::sample(const std::vector<ServiceSample>& services, const Moment& now, bool all) {
    for (const auto& service : services) {
        add(service, now);
    }
    if (!all) {
        return;
    }
    begins_ = false;
    std::set<std::string_view> names;
    for (const auto& service : services) {
        names.insert(service.name);
    }
    const auto is_gone = [&names](const auto& entry) { return !names.contains(entry.first); };
    urgent_ = std::erase_if(state_.seen, is_gone) > 0 || urgent_;
    std::erase_if(standing_, is_gone);
}

void Ledger::stand(const std::string& service, Serving serving, const Moment& now) {
    Standing& standing = standing_[service];
    if (standing.since != BootTime{} && standing.serving == serving) {
        return;
    }
    pass_time(service, standing, now);
    standing.serving = serving;
}

void Ledger::cloud_answered(const std::string& service, std::int64_t us, const Moment& now) {
    DayFigures more;
    const auto took = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0));
    us < 0 ? static_cast<void>(more.away_failed = 1) : static_cast<void>(more.away = {1, took, took});
    row(service, now).add(more);
    changed_ = true;
}

void Ledger::taken(std::uint64_t sequence) {
    state_.rows.clear();
    state_.sequence = sequence;
    changed_ = true;
}

bool Ledger::has_past_days(Day today) const {
    return std::any_of(state_.rows.begin(), state_.rows.end(),
                       [today](const auto& row) { return row.first.second != kUndated && row.first.second != today; });
}

}  // namespace viscum
