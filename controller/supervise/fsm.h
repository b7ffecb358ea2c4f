// SPDX-License-Identifier: GPL-2.0-only
// The life of one run (one version of a service, in one slot) as a table: state x event -> state, action.
// Pure. Health and admission are fields elsewhere, not states.
#pragma once

#include <cstdint>
#include <string_view>

namespace viscum {

enum class RunState : std::uint8_t {
    down,       // nothing of it exists
    preparing,  // namespace, link and addresses are being made
    starting,   // the process runs and was not healthy yet
    up,         // was healthy once since it started
    stopping,   // drains, ends, and is taken down
    backoff,    // ended, or could not be prepared; waits to start again
    failed,     // ended for good (restart policy)
};

enum class RunEvent : std::uint8_t {
    start,
    launched,       // the process runs
    launch_failed,  // a step before or at the launch failed
    healthy,
    start_timed_out,  // not healthy within start_timeout
    exited,           // and is to be started again
    exited_for_good,  // and is not
    backoff_over,
    stop,
    drained,         // no connection is open, or drain_timeout has passed
    stop_timed_out,  // stop_timeout has passed since it was asked to end
    dismantled,      // link and namespace are gone
};

enum class RunAction : std::uint8_t {
    none,
    back_off,   // set the timer for backoff_over
    drain,      // watch the open connections, and set the timer for drained
    terminate,  // ask the process to end, and set the timer for stop_timed_out; without a process: exited at once
    kill,
};

struct Transition {
    RunState state;
    RunAction action;
    bool operator==(const Transition&) const = default;
};

/// An event that means nothing in a state leaves it as it is, without action.
Transition next_state(RunState state, RunEvent event);

/// "down", "preparing", …: as reports have it.
std::string_view state_name(RunState state);

/// Whether a run in this state is to have its namespace and link.
bool wants_network(RunState state, bool has_process);
/// Whether a run in this state is to have a process.
bool wants_process(RunState state);

}  // namespace viscum
