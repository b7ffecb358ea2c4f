// SPDX-License-Identifier: GPL-2.0-only
// Health: a pure judge of probe results, and the probes themselves.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "controller/spec/service_spec.h"
#include "netns/net_ns.h"

namespace viscum {

struct ProbeResult {
    bool healthy = false;
    bool refused = false;  // nothing listens (ECONNREFUSED): cheap to ask again soon
    std::string reason;    // of a failure: "connection refused", "status 503 instead of 200", "no answer within 1s"
    bool asked = true;     // false: we could not ask (no descriptor, no memory); says nothing of the service
    bool operator==(const ProbeResult&) const = default;
};

/// Counts rises and falls and says when to ask next. Pure.
/// A service starts as down. `rise` successes in a row bring it up, `fall` failures in a row take it down. While
/// starting the next probe comes after 50 ms (5 ms after a success, or after a refused connection in the first 250 ms,
/// which costs the service nothing: that is what makes the first local answer fast), 500 ms in transition, `interval`
/// when up, 5 s when down. Probes of services that are up meet on a grid of a quarter of their interval, so that they
/// share wake-ups; a service reaches it by pauses that are up to 10 % shorter. The others but the start's have ±10 %
/// jitter. A hung service is down within fall x interval + timeout, so the transition's pause is never longer than
/// `interval`, on the way down not than `interval` less `timeout` (which is the shorter one), and nothing lengthens the
/// pauses of a service that is up. A start that timed out is as down.
class HealthJudge {
public:
    explicit HealthJudge(const HealthSpec& spec) : spec_(spec) {}

    /// A new process was launched: down, starting.
    void started(BootTime now);
    /// A process that was up before this daemon started: it stays as it was until probes say otherwise.
    void adopted(BootTime now, bool healthy);
    /// One that was not asked changes nothing but the reason.
    void result(const ProbeResult& result, BootTime now);
    /// How long until the next one. `dice` is in [0, 1), and counts while it is down or failed last. `took` is how long
    /// the last probe did: on the way down it counts as a part of the pause, so that failures which come at once are no
    /// closer to each other than those that time out.
    [[nodiscard]] std::chrono::nanoseconds next_probe(BootTime now, double dice, Millis took = Millis(0)) const;

    [[nodiscard]] bool up() const { return up_; }
    /// Not once up since started().
    [[nodiscard]] bool starting() const { return starting_; }
    [[nodiscard]] bool start_timed_out(BootTime now) const {
        return starting_ && now - started_ >= spec_.start_timeout;
    }
    [[nodiscard]] const std::string& reason() const { return reason_; }  // of the last failure; empty after a success

private:
    HealthSpec spec_;
    BootTime started_{};
    bool up_ = false;
    bool starting_ = true;
    int streak_ = 0;  // successes (> 0) or failures (< 0) in a row
    bool refused_ = false;
    std::string reason_;
};

/// One probe under way. Destroying it cancels it: no callback comes after.
class Probe {
public:
    virtual ~Probe() = default;
};

class Prober;

/// What a probe needs beside its service's file. All of it outlives the probe.
struct ProbeContext {
    EventLoop& loop;
    Prober& prober;         // parses what the service answers (supervise/prober.h)
    const NetNs& home;      // this process's own
    const NetNs& ns;        // the service's
    std::string shim_path;  // for exec probes: EnterSpec
    std::string run_dir;
    std::shared_ptr<int> ending{};  // health commands of the run that were killed and have not ended; may be null
};

/// Starts one probe from inside the namespace against `target` (an address that the service owns). `done` is called
/// exactly once, from the loop, never from inside this call, at the latest when `spec.timeout` has passed. What the
/// service answers is never looked at in this process: sockets are made here and handed to the prober, and a TCP probe
/// reads nothing. The process probe succeeds.
std::unique_ptr<Probe> start_probe(const ProbeContext& context, const HealthSpec& spec, const IpAddress& target,
                                   std::function<void(const ProbeResult&)> done);

}  // namespace viscum
