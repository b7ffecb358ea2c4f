// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/savings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/trial_clock.h"
#include "controller/savings/clock.h"
#include "controller/savings/ledger_file.h"
#include "controller/world/grade.h"

namespace viscum {
namespace {

constexpr std::chrono::minutes kSampleEach{1};
constexpr std::chrono::minutes kWriteEach{15};
constexpr std::chrono::minutes kWriteTimeEach{60};  // where nothing but time went by
constexpr std::chrono::minutes kUrgentEach{5};      // a service that starts again and again is not to wear the flash
constexpr std::chrono::seconds kCandidatesEach{1};
constexpr mode_t kFileMode = 0640;
constexpr const char* kAside = ".damaged";
constexpr const char* kUnfinished = ".new";  // write_file_atomically

Moment moment_now() {
    return moment_of(read_clock());
}

double roll_dice() {
    std::random_device device;
    return static_cast<double>(device()) / static_cast<double>(std::random_device::max());
}

/// What a service counts may end with the next pass.
bool is_ending(const Service& service) {
    return service.removed || std::ranges::any_of(service.runs, [](const auto& run) { return run && run->stopping(); });
}

ClaimNumbers numbers_of(const ClaimCounters& counters) {
    ClaimNumbers out;
    out.flows = counters.flows;
    out.bytes_in = counters.bytes_in;
    out.bytes_out = counters.bytes_out;
    out.flows_cloud = counters.flows_cloud;
    for (const auto& [reason, packets] : counters.cloud) {
        std::uint64_t& sum = out.cloud.at(cloud_reason(reason));
        sum = add_up(sum, packets);
    }
    return out;
}

}  // namespace

Savings::Savings(const Sources& sources) : sources_(sources), ledger_(boot_id()), round_trip_(sources.loop) {
    const bool known = load();
    const Moment now = moment_now();
    written_ = now.at;
    after_pass();
    sample_all(now);
    if (!known) {
        write(now);  // where counting began: a kill is not to move that
    }
    look();
}

Result<std::optional<LedgerState>> Savings::read(const std::string& file) {
    const auto bytes = read_file(file, kLedgerLimit);
    if (!bytes && bytes.error().errno_code == ENOENT) {
        return std::optional<LedgerState>();
    }
    if (!bytes && bytes.error().errno_code != EFBIG) {
        return bytes.error();
    }
    auto state = bytes ? decode_ledger(*bytes) : Result<LedgerState>(bytes.error());
    if (state) {
        return std::optional(*std::move(state));
    }
    const bool moved = std::rename(file.c_str(), (file + kAside).c_str()) == 0;
    log_warn(cat("savings: '", file, "' is not used", moved ? " and is now '" + file + kAside + "'" : "", ": ",
                 state.error().what));
    return std::optional<LedgerState>();
}

bool Savings::load() {
    for (const auto& file : {long_file(), short_file()}) {
        (void)remove_file(file + kUnfinished);  // of a write that a power cut or a kill interrupted
    }
    auto long_read = read(long_file());
    auto short_read = read(short_file());
    for (const auto* each : {&long_read, &short_read}) {
        if (!*each) {
            keeps_ = false;
            log_warn(cat("savings are counted, and not kept until viscumd starts anew: ", each->error().what));
            return true;
        }
    }
    auto& all = *long_read;
    auto& rest = *short_read;
    if (rest && (!all || rest->sequence >= all->sequence)) {
        ledger_.adopt(*std::move(rest));
    } else if (all) {
        all->rows.clear();
        ledger_.adopt(*std::move(all));
    } else {
        return false;
    }
    return true;
}

ServiceSample Savings::sample_of(const Service& service) const {
    ServiceSample out;
    out.name = service.name;
    out.sums = sources_.world.grade().name() == "classic";
    for (const auto& rule : rules_of(service.view())) {
        const ClaimCounters counters = sources_.world.counters(rule.claim);
        out.known = out.known && counters.known;
        out.claims[rule.claim.text()] = numbers_of(counters);
    }
    for (const auto& run : service.runs) {
        const auto bytes = run ? sources_.world.egress_bytes(run->key()) : std::nullopt;
        if (bytes) {
            out.links[bytes->link] = {bytes->in, bytes->out};
        }
        // Its link counts on while a pass has not come to it yet.
        out.links_known = out.links_known && (!run || bytes || !run->spec().egress.any());
    }
    ServiceReport failovers;
    failovers.name = service.name;
    sources_.failovers.report(failovers, boot_now());
    out.failovers = failovers.failovers;
    out.failover_us = failovers.failover_us;
    const Run* run = service.current();
    out.probe_us = run != nullptr && run->probe_took() ? run->probe_took()->count() : -1;
    return out;
}

void Savings::sample_all(const Moment& now) {
    std::vector<ServiceSample> samples;
    for (const auto& [name, service] : sources_.services.all()) {
        samples.push_back(sample_of(service));
    }
    ledger_.sample(samples, now, true);
    sampled_ = now.at;
    sampled_day_ = now.day;
}

void Savings::before_pass() {
    // The version before a candidate stops before it goes, but where it had failed: many of them at once make many
    // passes.
    const BootTime at = boot_now();
    const bool candidates = at - candidates_sampled_ >= kCandidatesEach;
    std::vector<ServiceSample> samples;
    for (const auto& [name, service] : sources_.services.all()) {
        if (is_ending(service) || (candidates && service.candidate)) {
            candidates_sampled_ = service.candidate ? at : candidates_sampled_;
            samples.push_back(sample_of(service));
        }
    }
    if (!samples.empty()) {
        ledger_.sample(samples, moment_now(), false);
    }
}

void Savings::after_pass() {
    const Moment now = moment_now();
    const WallTime wall = wall_now();
    for (const auto& [name, service] : sources_.services.all()) {
        const Run* run = service.current();
        const Serving serving = service.drained || service.removed               ? Serving::drained
                                : sources_.failovers.serves(service.name)        ? Serving::here
                                : run != nullptr && all_ended(run->spec(), wall) ? Serving::ended
                                                                                 : Serving::cloud;
        ledger_.stand(name, serving, now);
    }
    if (timer_ == 0 && !sources_.services.all().empty()) {
        timer_ = sources_.loop.after(kSampleEach, [this] { look(); });
    }
}

void Savings::look() {
    sources_.loop.cancel(timer_);
    timer_ = 0;
    if (!sources_.services.all().empty()) {
        timer_ = sources_.loop.after(kSampleEach, [this] { look(); });
    } else if (!ledger_.changed() && !ledger_.urgent() && ledger_.state().seen.empty()) {
        return;
    }
    const Moment now = moment_now();
    if (now.at - sampled_ >= kSampleEach || now.day != sampled_day_) {
        sample_all(now);
    }
    const BootTime passed = now.at - written_;
    const bool urgent = ledger_.urgent() && (urgent_at_ == BootTime{} || now.at - urgent_at_ >= kUrgentEach);
    urgent_at_ = urgent ? now.at : urgent_at_;
    if (urgent || (ledger_.counted() && passed >= kWriteEach) || (ledger_.changed() && passed >= kWriteTimeEach)) {
        write(now);
    }
    ask_cloud(now);
}

void Savings::finish() {
    const Moment now = moment_now();
    sample_all(now);
    if (ledger_.changed() || ledger_.urgent()) {
        write(now);
    }
}

/// The days that are over, into the long file.
Status Savings::fold(const Moment& now) {
    const auto there_before = read(long_file());
    if (!there_before) {
        return there_before.error();
    }
    const auto& before = *there_before;
    LedgerState all = ledger_.state();
    all.sequence = std::max(all.sequence, before ? before->sequence : 0) + 1;
    if (before) {
        merge(all.rows, before->rows);
    }
    if (now.sure) {
        move_days(all.rows, now.day, [&now](Day day) { return day == kUndated || day > now.day + 1; });
    }
    // A clock that may be ahead takes no days away.
    prune(all.rows, now.sure ? all.newest : std::min(all.newest, before ? before->newest : all.newest));
    const std::string bytes = encode_ledger(all);
    if (auto status = write_file_atomically(long_file(), bytes, kFileMode); !status) {
        const auto there = read_file(long_file(), kLedgerLimit);
        if (!there || *there != bytes) {
            return status;
        }
    }
    ledger_.taken(all.sequence);
    return {};
}

void Savings::write(const Moment& now) {
    written_ = now.at;  // also where it fails: a medium that is full is not to be asked all the time
    if (!keeps_) {
        ledger_.saved();
        return;
    }
    // What has no date yet stays where a clock that is set can still move it.
    const Day today = ledger_.settle(now);
    Status status = today != kUndated && ledger_.has_past_days(today) ? fold(now) : Status{};
    // Also where the long one found no room: this one is small.
    if (auto wrote = write_file_atomically(short_file(), encode_ledger(ledger_.state()), kFileMode); status) {
        status = std::move(wrote);
    }
    ledger_.saved();
    const std::string problem = status ? "" : status.error().what;
    if (!problem.empty() && problem != told_) {
        log_warn(cat("savings are not written, and counted on: ", problem));
    }
    told_ = problem;
}

std::vector<Rounds::Served> Savings::served() const {
    std::vector<Rounds::Served> out;
    for (const auto& [name, service] : sources_.services.all()) {
        const Run* run = service.current();
        if (run != nullptr && !service.removed && !service.drained && sources_.failovers.serves(name)) {
            out.push_back({name, cloud_targets(run->spec())});
        }
    }
    return out;
}

void Savings::ask_cloud(const Moment& now) {
    if (!sources_.config.measure_cloud || round_trip_.under_way()) {
        return;
    }
    const auto choice = rounds_.next(served(), now.at, roll_dice());
    if (!choice) {
        return;
    }
    round_trip_.start(choice->target, [this, service = choice->service](std::optional<std::int64_t> us) {
        ledger_.cloud_answered(service, us.value_or(-1), moment_now());
    });
}

Result<SavingsReport> Savings::report(const std::string& service, std::uint64_t days) {
    const Moment now = moment_now();
    sample_all(now);
    DayRows rows = ledger_.state().rows;
    const auto all = read(long_file());
    if (!all) {
        return all.error();
    }
    if (*all) {
        merge(rows, (*all)->rows);
    }
    timespec wall{};
    clock_gettime(CLOCK_REALTIME, &wall);
    return summarize(rows, {service, days, now.day, zone_name(wall.tv_sec), sources_.config.cost_per_gb});
}

}  // namespace viscum
