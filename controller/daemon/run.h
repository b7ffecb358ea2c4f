// SPDX-License-Identifier: GPL-2.0-only
// One version of a service in one slot, from its first step to its last: the state table put to work.
//
// A run never touches the kernel's network. It says what it wants (wants_network, wants_process, view), the reconciler
// makes it so and tells it (launch, launch_failed, dismantled). Whatever changes is told by `changed`.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "base/instance.h"
#include "controller/daemon/first_sign.h"
#include "controller/daemon/launch.h"
#include "controller/plan/admission.h"
#include "controller/plan/state.h"
#include "controller/supervise/backoff.h"
#include "controller/supervise/fsm.h"
#include "controller/supervise/health.h"
#include "controller/supervise/prober.h"
#include "controller/supervise/process.h"
#include "controller/world/world.h"
#include "netns/net_ns.h"

namespace viscum {

class Failovers;
class Journal;

/// What every run shares; outlives them.
struct RunContext {
    EventLoop& loop;
    World& world;
    const Instance& instance;
    const Cgroups& cgroups;
    Prober& prober;
    NetNs home;  // viscumd's namespace
    AliasRange aliases;
    std::string shim_path;
    std::function<void()> changed;
    const Failovers* failovers = nullptr;  // for reports
    Journal* journal = nullptr;            // nullptr: nothing is told
};

class Run {
public:
    Run(RunContext& context, BackendKey key, ServiceSpec spec, std::string text, RunIdentity identity);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// Makes the run directory with the service file and the image's name in it, before anything else of the run
    /// exists.
    Status begin();
    /// Takes over a process that a viscumd before started. `admission` is what the kernel's table held for it: one that
    /// was served is healthy until probes say otherwise, one that drained is not until they do.
    void adopt(std::optional<Process> process, Admission admission);
    /// Unwanted from now on: drains for drain_timeout at most, or `drain` if that is less, ends, and is taken down.
    /// Idempotent.
    void stop(Millis drain = Millis::max());

    // What the reconciler tells.
    Status launch();
    void launch_failed(const Error& error);
    /// Something of its network was made again: health is asked at once, instead of when it is due.
    void network_mended();
    /// Nothing of it is left in the network: removes its groups and the run directory. The owner then drops the run.
    /// After any error it is to be called again; one that lasts is told of once, and is what stuck() says.
    Status dismantled();

    [[nodiscard]] const BackendKey& key() const { return key_; }
    [[nodiscard]] const ServiceSpec& spec() const { return spec_; }
    /// owned_by(spec()).
    [[nodiscard]] const WantedBackend& owned() const { return owned_; }
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const RunIdentity& identity() const { return identity_; }
    /// What it may begin; nullopt: nothing.
    [[nodiscard]] const std::optional<WantedEgress>& egress() const { return egress_; }
    /// The image's digest; empty: it has none.
    [[nodiscard]] std::string image_digest() const { return identity_.image ? identity_.image->digest : ""; }
    [[nodiscard]] RunState state() const { return state_; }
    [[nodiscard]] bool has_process() const { return process_.has_value(); }
    [[nodiscard]] bool stopping() const { return state_ == RunState::stopping || state_ == RunState::down; }
    /// Whether the service's answers have to be parsed.
    [[nodiscard]] bool needs_prober() const;
    [[nodiscard]] bool healthy() const { return process_ && judge_.up(); }
    [[nodiscard]] RunView view() const;
    /// Why it is not up and healthy; empty if it is.
    [[nodiscard]] std::string reason() const;
    [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : 0; }
    [[nodiscard]] const std::optional<ExitStatus>& last_exit() const { return last_exit_; }
    /// How it ended last, and which limit it met; empty: it has not ended.
    [[nodiscard]] std::string describe_end() const;
    /// What the kernel has counted in its groups since they were made.
    [[nodiscard]] CgroupEvents group_events() const { return context_.cgroups.events(group()); }
    /// Limits that are not kept any more, as another tool removed the group.
    [[nodiscard]] std::vector<std::string> limits_lost() const;
    /// A limit of its own that the current process has met: "out of memory (limit 64M)"; empty: none.
    [[nodiscard]] std::string limit_met() const;
    /// Why what it leaves cannot be removed, where that lasts.
    [[nodiscard]] const std::string& stuck() const { return stuck_; }
    [[nodiscard]] std::string dir() const;
    [[nodiscard]] int starts() const { return starts_; }
    [[nodiscard]] BootTime started_at() const { return started_at_; }
    /// Since when it has not served as it should; nullopt: it does.
    [[nodiscard]] const std::optional<FirstSign::Sign>& first_sign() const { return first_sign_.sign(); }
    /// Whether the kernel's rules give it new flows.
    [[nodiscard]] bool gets_new_flows() const;
    /// How long the last healthy probe took; nullopt: none was asked.
    [[nodiscard]] std::optional<std::chrono::microseconds> probe_took() const { return probe_took_; }

private:
    void handle(RunEvent event);
    void ended();
    void watch_process();
    [[nodiscard]] bool starts_again(const ExitStatus& end) const;
    void probe_at(BootTime when);
    void probe_now();
    void probed(const ProbeResult& result);
    void note_answer(const ProbeResult& result, BootTime now);
    void fell();
    void begin_drain();
    void check_drained();
    void terminate();
    void clear_timers();
    void set_timer(EventLoop::TimerId& timer, Millis delay, void (Run::*handler)());
    void start_timed_out();
    void backoff_over() { handle(RunEvent::backoff_over); }
    void stop_timed_out() { handle(RunEvent::stop_timed_out); }
    void hold_over() { context_.changed(); }
    /// What is claimed and not listened on; empty: nothing, or it cannot be seen. `all`: only where it is every claim.
    [[nodiscard]] std::string without_listener(bool all) const;
    void tell_stuck(const Error& error);
    [[nodiscard]] IpAddress probe_target() const;
    [[nodiscard]] std::string group() const;

    RunContext& context_;
    BackendKey key_;
    ServiceSpec spec_;
    WantedBackend owned_;
    std::string text_;
    RunIdentity identity_;
    std::optional<WantedEgress> egress_;
    RunState state_ = RunState::down;
    std::optional<Process> process_;
    HealthJudge judge_;
    Backoff backoff_;
    HoldDown hold_;
    std::unique_ptr<Probe> probe_;
    std::optional<ExitStatus> last_exit_;
    std::string problem_;      // of the last launch that failed
    std::string met_;          // the limit that the last process met before it ended, or why it was killed
    std::string timed_out_;    // why the current process is killed, where its start took too long
    std::string stuck_;        // why what it leaves cannot be removed, where that lasts
    CgroupEvents met_before_;  // what its groups had counted when the current process started
    bool was_up_ = false;      // healthy once: it may have flows
    BootTime started_at_{};
    BootTime asked_at_{};  // when the last probe began
    FirstSign first_sign_;
    std::optional<std::chrono::microseconds> probe_took_;
    BootTime mended_at_{};
    BootTime stuck_since_{};  // since when it cannot; zero: it was not tried
    Millis drain_limit_{};
    BootTime drain_until_ = BootTime::max();
    std::optional<BootTime> quiet_since_;  // of a drain: no new flow was let in, and no datagram came
    std::uint64_t datagrams_ = 0;
    int starts_ = 0;
    std::shared_ptr<int> ending_ = std::make_shared<int>(0);  // ProbeContext::ending
    EventLoop::TimerId probe_timer_ = 0;
    EventLoop::TimerId start_timer_ = 0;
    EventLoop::TimerId state_timer_ = 0;  // back-off, drain or stop
    EventLoop::TimerId hold_timer_ = 0;
    EventLoop::TimerId watch_timer_ = 0;  // where the kernel had no room to watch its process
};

}  // namespace viscum
