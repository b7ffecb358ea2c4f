// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/failover.h"

#include <algorithm>

namespace viscum {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

// The places of kGivenBackCauses.
constexpr std::size_t kExited = 0;
constexpr std::size_t kUnhealthy = 1;
constexpr std::size_t kDrained = 2;
constexpr std::size_t kEnded = 3;
constexpr std::size_t kOther = 4;
static_assert(kGivenBackCauses.size() == 5);

}  // namespace

void FailoverHistory::rules_stand(bool served, const std::optional<FirstSign::Sign>& sign, Withdrawn withdrawn,
                                  BootTime now) {
    if (served_.value_or(false) && !served) {
        give_back(sign, withdrawn, now);
    }
    served_ = served;
}

void FailoverHistory::give_back(const std::optional<FirstSign::Sign>& sign, Withdrawn withdrawn, BootTime now) {
    last_at_ = now;
    if (withdrawn.drained || !sign) {
        last_cause_ = withdrawn.drained ? kDrained : withdrawn.ended ? kEnded : kOther;
        ++given_back_.at(last_cause_);
        return;
    }
    last_cause_ = sign->cause == FirstSign::Cause::exited ? kExited : kUnhealthy;
    ++given_back_.at(last_cause_);
    last_ = duration_cast<microseconds>(now - sign->at);
    sum_ += last_;
    ++count_;
    const auto fits =
        std::ranges::find_if(kFailoverBounds, [this](std::uint64_t bound) { return last_ <= Millis(bound); });
    if (fits != kFailoverBounds.end()) {
        ++within_.at(static_cast<std::size_t>(fits - kFailoverBounds.begin()));
    }
}

void FailoverHistory::report(ServiceReport& out, BootTime now) const {
    out.failovers = count_;
    out.failover_us = static_cast<std::uint64_t>(sum_.count());
    out.failover_last_us = last_.count();
    if (count_ > 0) {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < within_.size(); ++i) {
            sum += within_.at(i);
            out.failover_buckets.push_back({kFailoverBounds.at(i), sum});
        }
    }
    for (std::size_t i = 0; i < given_back_.size(); ++i) {
        out.given_back.push_back({kGivenBackCauses.at(i), given_back_.at(i)});
    }
    if (last_at_ != BootTime{}) {
        out.given_back_ms_ago = duration_cast<Millis>(now - last_at_).count();
        out.given_back_cause = kGivenBackCauses.at(last_cause_);
    }
}

void Failovers::rules_stand(const Services& services, BootTime now) {
    std::erase_if(histories_, [&services](const auto& entry) { return !services.all().contains(entry.first); });
    for (const auto& [name, service] : services.all()) {
        if (service.removed) {
            continue;  // it goes, and its figures with it
        }
        const bool served =
            std::ranges::any_of(service.runs, [](const auto& run) { return run && run->gets_new_flows(); });
        const Run* run = service.current();
        const bool ended = run != nullptr && all_ended(run->spec(), wall_now());
        histories_[name].rules_stand(served, run == nullptr ? std::nullopt : run->first_sign(),
                                     {.drained = service.drained, .ended = ended}, now);
    }
}

void Failovers::report(ServiceReport& out, BootTime now) const {
    if (const auto found = histories_.find(out.name); found != histories_.end()) {
        found->second.report(out, now);
    }
}

bool Failovers::serves(const std::string& service) const {
    const auto found = histories_.find(service);
    return found != histories_.end() && found->second.served().value_or(false);
}

}  // namespace viscum
