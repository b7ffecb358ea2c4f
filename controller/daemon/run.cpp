// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/run.h"

#include <algorithm>
#include <csignal>
#include <random>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/plan/aliases.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr Millis kFirstProbe{5};
constexpr Millis kWatchAgain{200};
constexpr Millis kSettle{10};  // a packet that was let in has its socket by then, on a processor that is slow as well
constexpr Millis kDrainPoll{200};
constexpr Millis kQuiet{1000};       // of datagrams, before a drain of UDP is over
constexpr Millis kStuckLimit{3000};  // the kernel ends processes in its own time; then it is told
constexpr mode_t kRunDirMode = 0700;
constexpr mode_t kRunFileMode = 0600;

double dice() {
    static std::minstd_rand generator(std::random_device{}());
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

std::uint16_t probe_port(const HealthSpec& health) {
    if (const auto* tcp = std::get_if<TcpProbe>(&health.probe)) {
        return tcp->port;
    }
    if (const auto* http = std::get_if<HttpProbe>(&health.probe)) {
        return http->port;
    }
    if (const auto* udp = std::get_if<UdpProbe>(&health.probe)) {
        return udp->port;
    }
    return 0;
}

}  // namespace

Run::Run(RunContext& context, BackendKey key, ServiceSpec spec, std::string text, RunIdentity identity)
    : context_(context),
      key_(std::move(key)),
      spec_(std::move(spec)),
      owned_(owned_by(spec_)),
      text_(std::move(text)),
      identity_(std::move(identity)),
      egress_(egress_of(spec_, context_.aliases, identity_.number, key_.slot)),
      judge_(spec_.health),
      backoff_(spec_.restart) {}

Run::~Run() {
    clear_timers();
    context_.loop.cancel(hold_timer_);
    if (process_) {
        context_.loop.unwatch(process_->pidfd());
    }
}

std::string Run::dir() const {
    return cat(context_.instance.runs_dir(), '/', group());
}

std::string Run::group() const {
    return cat(key_.service, '.', key_.slot);
}

Status Run::begin() {
    auto status = make_directory(dir(), kRunDirMode);
    if (status && identity_.image) {
        status = write_file_atomically(dir() + "/image", identity_.image->digest, kRunFileMode);
    }
    if (status) {
        status = write_file_atomically(dir() + "/spec", text_, kRunFileMode);
    }
    if (!status) {
        // What cannot be removed either is found by the next viscumd.
        [[maybe_unused]] const auto removed = remove_directory(dir());
        return status;
    }
    handle(RunEvent::start);
    return {};
}

void Run::adopt(std::optional<Process> process, Admission admission) {
    state_ = RunState::preparing;  // whatever is missing of its network is made again; nothing is, as a rule
    if (!process) {
        // It may have ended for good while nobody looked.
        last_exit_ = viscum::last_exit(dir());
        if (last_exit_ && !starts_again(*last_exit_)) {
            state_ = RunState::failed;
        }
        return;
    }
    process_ = std::move(process);
    const BootTime now = boot_now();
    started_at_ = process_->started_at().value_or(now);
    met_before_ = group_events();
    was_up_ = admission != Admission::off;
    state_ = was_up_ ? RunState::up : RunState::starting;
    if (was_up_) {
        judge_.adopted(now, admission == Admission::serve);
        hold_.admitted(now);
    } else {
        judge_.started(now);
        set_timer(start_timer_, spec_.health.start_timeout, &Run::start_timed_out);
    }
    watch_process();
    probe_at(boot_now());
}

void Run::stop(Millis drain) {
    drain_limit_ = std::min(drain, spec_.drain_timeout);
    drain_until_ = std::min(drain_until_, boot_now() + drain_limit_);  // of a drain under way: it may only get shorter
    handle(RunEvent::stop);
}

void Run::handle(RunEvent event) {
    const Transition next = next_state(state_, event);
    const bool moved = next.state != state_;
    state_ = next.state;
    if (moved) {
        context_.loop.cancel(state_timer_);
        context_.loop.cancel(start_timer_);
    }
    switch (next.action) {
        case RunAction::none: break;
        case RunAction::back_off: {
            const auto ran = std::chrono::duration_cast<Millis>(boot_now() - started_at_);
            set_timer(state_timer_, backoff_.next(ran, dice()), &Run::backoff_over);
            break;
        }
        case RunAction::drain: begin_drain(); break;
        case RunAction::terminate: terminate(); break;
        case RunAction::kill:
            if (process_) {
                if (auto status = process_->kill(); !status) {
                    problem_ = status.error().what;
                }
            }
            break;
    }
    if (moved || next.action != RunAction::none) {
        context_.changed();
    }
}

Status Run::launch() {
    const NetNs* ns = context_.world.net_ns(key_);
    if (ns == nullptr) {
        return Error{ENOENT, "its namespace is not there"};
    }
    if (auto status = context_.cgroups.make(group(), group_limits(spec_.limits, memory_of_machine())); !status) {
        return status;
    }
    auto launch = make_launch(spec_, context_.instance, identity_, egress_, context_.cgroups.join_files(group()));
    if (!launch) {
        return std::move(launch).error();
    }
    launch->run_dir = dir();
    launch->log_file = context_.instance.log_file(spec_.name);
    launch->shim_path = context_.shim_path;
    met_before_ = group_events();
    // Where it cannot be started, probes say so in their turn.
    if (needs_prober()) {
        [[maybe_unused]] const auto prepared = context_.prober.prepare();
    }
    auto process = Process::launch(*launch, *ns);
    if (!process && process.error().errno_code == EAGAIN) {
        // A shim of this run is there already: one that could not be adopted before.
        auto found = Process::adopt(dir());
        if (!found || !*found) {
            return found ? std::move(process).error() : std::move(found).error();
        }
        process = std::move(**found);
    }
    if (!process) {
        return std::move(process).error();
    }
    process_ = std::move(*process);
    started_at_ = boot_now();
    ++starts_;
    problem_.clear();
    timed_out_.clear();
    judge_.started(started_at_);
    if (spec_.on_failure == OnFailure::keep) {
        first_sign_.healthy();  // it serves from now on, without waiting for a probe
    }
    watch_process();
    handle(RunEvent::launched);
    set_timer(start_timer_, spec_.health.start_timeout, &Run::start_timed_out);
    probe_at(boot_now() + kFirstProbe);
    return {};
}

void Run::launch_failed(const Error& error) {
    problem_ = error.what;
    started_at_ = boot_now();
    handle(RunEvent::launch_failed);
}

void Run::network_mended() {
    const BootTime now = boot_now();
    // Not more often than a probe may take, or a network that flaps would hide a service that hangs.
    if (process_ && state_ != RunState::stopping && now - mended_at_ > spec_.health.interval + spec_.health.timeout) {
        mended_at_ = now;
        probe_at(boot_now());
    }
}

Status Run::dismantled() {
    auto status = context_.cgroups.remove(group());
    if (status) {
        handle(RunEvent::dismantled);
        status = remove_directory(dir());
    }
    if (!status) {
        tell_stuck(status.error());
    }
    return status;
}

/// Once, and not before the kernel has had its time.
void Run::tell_stuck(const Error& error) {
    const BootTime now = boot_now();
    if (stuck_since_ == BootTime{}) {
        stuck_since_ = now;
    } else if (stuck_ != error.what && now - stuck_since_ >= kStuckLimit) {
        stuck_ = error.what;
        log_warn(cat("'", spec_.name, "' cannot be taken down yet: ", error.what));
    }
}

bool Run::needs_prober() const {
    return std::holds_alternative<HttpProbe>(spec_.health.probe) ||
           std::holds_alternative<UdpProbe>(spec_.health.probe);
}

bool Run::starts_again(const ExitStatus& end) const {
    return spec_.restart.policy == RestartPolicy::always ||
           (spec_.restart.policy == RestartPolicy::on_failure && !end.success());
}

void Run::watch_process() {
    if (!process_) {
        return;
    }
    const auto status =
        context_.loop.watch(process_->pidfd(), Order::children, EPOLLIN, [this](std::uint32_t) { ended(); });
    if (!status) {
        // An end that nobody notices would hold up its removal for ever.
        set_timer(watch_timer_, kWatchAgain, &Run::watch_process);
    }
}

void Run::ended() {
    context_.loop.unwatch(process_->pidfd());
    last_exit_ = process_->finish(dir());
    met_ = limit_met();
    if (!timed_out_.empty()) {
        last_exit_ = ExitStatus{ExitStatus::Kind::signaled, SIGKILL, ""};  // its shim could not write that down
        met_ = met_.empty() ? timed_out_ : cat(timed_out_, "; ", met_);
        timed_out_.clear();
    }
    process_.reset();
    if (!stopping()) {
        log_warn(cat("'", spec_.name, "' ended: ", describe_end()));
    }
    probe_.reset();
    context_.loop.cancel(probe_timer_);
    if (judge_.up()) {
        fell();
    }
    first_sign_.exited(boot_now());
    judge_ = HealthJudge(spec_.health);
    handle(starts_again(*last_exit_) ? RunEvent::exited : RunEvent::exited_for_good);
    context_.changed();
}

void Run::start_timed_out() {
    timed_out_ = cat("not healthy in ", format_duration(spec_.health.start_timeout), ": ", reason());
    handle(RunEvent::start_timed_out);
}

void Run::probe_at(BootTime when) {
    context_.loop.cancel(probe_timer_);
    probe_timer_ = context_.loop.at(when, [this] { probe_now(); });
}

IpAddress Run::probe_target() const {
    const auto port = probe_port(spec_.health);
    for (const auto& claim : spec_.intercept) {
        if (claim.ports.first <= port && port <= claim.ports.last) {
            return claim.prefix.address;
        }
    }
    return spec_.intercept.empty() ? IpAddress{} : spec_.intercept.front().prefix.address;
}

void Run::probe_now() {
    const NetNs* ns = context_.world.net_ns(key_);
    if (ns == nullptr || !process_) {
        return;
    }
    asked_at_ = boot_now();
    probe_ = start_probe({context_.loop, context_.prober, context_.home, *ns, context_.shim_path, dir(), ending_},
                         spec_.health, probe_target(), [this](const ProbeResult& result) { probed(result); });
}

void Run::probed(const ProbeResult& result) {
    const BootTime now = boot_now();
    const bool was_up = judge_.up();
    judge_.result(result, now);
    note_answer(result, now);
    if (judge_.up() != was_up) {
        if (judge_.up()) {
            was_up_ = true;
            first_sign_.healthy();
            hold_.admitted(now);
            handle(RunEvent::healthy);
        } else {
            log_warn(cat("'", spec_.name, "' is unhealthy: ", judge_.reason()));
            if (spec_.on_failure != OnFailure::keep) {
                first_sign_.unhealthy(now);
            }
            fell();
        }
        context_.changed();
    }
    if (judge_.up() && std::holds_alternative<ProcessProbe>(spec_.health.probe)) {
        return;  // its end tells all that there is to know
    }
    const auto took = std::chrono::duration_cast<Millis>(now - asked_at_);
    probe_at(now + judge_.next_probe(now, dice(), took));
}

void Run::note_answer(const ProbeResult& result, BootTime now) {
    // Where health is ignored its end alone gives the service back.
    if (result.asked && spec_.on_failure != OnFailure::keep) {
        first_sign_.answered(result.healthy, asked_at_);
    }
    if (result.healthy && !std::holds_alternative<ProcessProbe>(spec_.health.probe)) {
        probe_took_ = std::chrono::duration_cast<std::chrono::microseconds>(now - asked_at_);
    }
}

void Run::fell() {
    const Millis hold = hold_.fell(boot_now());
    if (hold > 0ms) {
        set_timer(hold_timer_, hold, &Run::hold_over);
    }
}

void Run::begin_drain() {
    drain_until_ = boot_now() + std::max(drain_limit_, kSettle);  // not before the rules stand
    quiet_since_.reset();
    // Not now: the rules are written at the end of this turn, which may be a long one, and new flows come until then.
    set_timer(state_timer_, Millis(0), &Run::check_drained);
}

bool Run::gets_new_flows() const {
    return std::any_of(spec_.intercept.begin(), spec_.intercept.end(), [this](const Claim& claim) {
        return context_.world.admission_in_kernel(claim) == Admission::serve &&
               context_.world.active_in_kernel(claim) == key_.slot;
    });
}

void Run::check_drained() {
    const BootTime now = boot_now();
    std::uint64_t datagrams = 0;
    bool any_udp = false;
    for (const auto& claim : spec_.intercept) {
        if (claim.protocol == Protocol::udp) {
            any_udp = true;
            datagrams += context_.world.counters(claim).packets_in;
        }
    }
    const bool open_to_new = gets_new_flows();
    const bool first_look = !open_to_new && !quiet_since_;
    if (open_to_new) {
        quiet_since_.reset();
    } else if (first_look || datagrams != datagrams_) {
        quiet_since_ = now;
    }
    datagrams_ = datagrams;
    const bool quiet = quiet_since_ && now - *quiet_since_ >= (any_udp ? kQuiet : kSettle);
    const auto idle = [this] {
        const auto open = context_.world.open_connections(key_);
        return open && *open == 0;
    };
    if (!process_ || now >= drain_until_ || (quiet && idle())) {
        handle(RunEvent::drained);
        return;
    }
    set_timer(state_timer_, open_to_new || first_look ? kSettle : kDrainPoll, &Run::check_drained);
}

void Run::terminate() {
    probe_.reset();
    context_.loop.cancel(probe_timer_);
    if (!process_) {
        return;
    }
    if (auto status = process_->signal(signal_number(complete_run(spec_.run, identity_.image).stop_signal)); !status) {
        problem_ = status.error().what;
    }
    set_timer(state_timer_, spec_.run.stop_timeout, &Run::stop_timed_out);
}

void Run::set_timer(EventLoop::TimerId& timer, Millis delay, void (Run::*handler)()) {
    context_.loop.cancel(timer);
    timer = context_.loop.after(delay, [this, handler] { (this->*handler)(); });
}

void Run::clear_timers() {
    for (const auto timer : {probe_timer_, start_timer_, state_timer_, watch_timer_}) {
        context_.loop.cancel(timer);
    }
}

}  // namespace viscum
