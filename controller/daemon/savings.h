// SPDX-License-Identifier: GPL-2.0-only
// What services save, counted and kept: the ledger of controller/savings with its clock, its files and its samples.
//
// Samples are taken once a minute, before each pass that may end counters, and for each answer. Files are written once
// in a quarter of an hour where something was counted, once an hour where only time went by, soon after counters ended
// (but once in five minutes), and at the end. Without a service nothing of it happens. Whatever goes wrong with them is
// told once, and nothing else is the worse for it.
#pragma once

#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/instance.h"
#include "controller/daemon/failover.h"
#include "controller/daemon/round_trip.h"
#include "controller/daemon/services.h"
#include "controller/savings/ledger.h"
#include "controller/savings/rounds.h"
#include "controller/savings/summary.h"

namespace viscum {

class Savings {
public:
    /// All of them outlive it. `config` may change.
    struct Sources {
        EventLoop& loop;
        const Instance& instance;
        const Services& services;
        World& world;
        const Failovers& failovers;
        const RouterConfig& config;
    };
    /// Reads what was kept, and counts from there. Once, after the first pass. A file that is damaged is set aside.
    explicit Savings(const Sources& sources);
    ~Savings() { sources_.loop.cancel(timer_); }
    Savings(const Savings&) = delete;
    Savings& operator=(const Savings&) = delete;

    /// Beside a pass over the kernel: counters that it may end are read before, and who is served is known after.
    void before_pass();
    void after_pass();
    /// To be called at least as often as every minute, where something wakes up viscumd anyway; otherwise it does so.
    void look();
    /// Counts and writes for the last time.
    void finish();
    /// The files are another viscumd's: nothing is written any more.
    void give_up() { keeps_ = false; }

    /// `days` of `service` ("": all), up to this instant. EMSGSIZE: more than an answer holds.
    Result<SavingsReport> report(const std::string& service, std::uint64_t days);

private:
    /// False: nothing was kept.
    bool load();
    /// nullopt: there is none, or it was damaged and is set aside now. An error: it cannot be read for the moment.
    [[nodiscard]] Result<std::optional<LedgerState>> read(const std::string& file);
    [[nodiscard]] ServiceSample sample_of(const Service& service) const;
    void sample_all(const Moment& now);
    void write(const Moment& now);
    Status fold(const Moment& now);
    void ask_cloud(const Moment& now);
    [[nodiscard]] std::vector<Rounds::Served> served() const;
    [[nodiscard]] std::string long_file() const { return sources_.instance.state_dir() + "/savings"; }
    [[nodiscard]] std::string short_file() const { return sources_.instance.state_dir() + "/savings.today"; }

    Sources sources_;
    Ledger ledger_;
    RoundTrip round_trip_;
    Rounds rounds_;
    EventLoop::TimerId timer_ = 0;
    BootTime sampled_{};
    Day sampled_day_ = kUndated;
    BootTime written_{};
    BootTime urgent_at_{};  // when counters that ended had it written; zero: never
    BootTime candidates_sampled_{};
    bool keeps_ = true;  // false: what was kept cannot be read, or is another viscumd's: it is not written over
    std::string told_;   // why it cannot be written; empty: it can
};

}  // namespace viscum
