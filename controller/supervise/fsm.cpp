// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/fsm.h"

#include <array>

namespace viscum {
namespace {

struct Row {
    RunState from;
    RunEvent event;
    RunState to;
    RunAction action;
};

using S = RunState;
using E = RunEvent;
using A = RunAction;

constexpr std::array kTable{
    Row{S::down, E::start, S::preparing, A::none},

    Row{S::preparing, E::launched, S::starting, A::none},
    Row{S::preparing, E::launch_failed, S::backoff, A::back_off},
    Row{S::preparing, E::stop, S::stopping, A::terminate},

    Row{S::starting, E::healthy, S::up, A::none},
    Row{S::starting, E::start_timed_out, S::starting, A::kill},  // its exit leads on
    Row{S::starting, E::exited, S::backoff, A::back_off},
    Row{S::starting, E::exited_for_good, S::failed, A::none},
    Row{S::starting, E::stop, S::stopping, A::terminate},  // it never had a flow

    Row{S::up, E::exited, S::backoff, A::back_off},
    Row{S::up, E::exited_for_good, S::failed, A::none},
    Row{S::up, E::stop, S::stopping, A::drain},

    Row{S::backoff, E::backoff_over, S::preparing, A::none},
    Row{S::backoff, E::stop, S::stopping, A::terminate},

    Row{S::failed, E::start, S::preparing, A::none},
    Row{S::failed, E::stop, S::stopping, A::terminate},

    Row{S::stopping, E::drained, S::stopping, A::terminate},
    Row{S::stopping, E::stop_timed_out, S::stopping, A::kill},
    Row{S::stopping, E::dismantled, S::down, A::none},
};

}  // namespace

Transition next_state(RunState state, RunEvent event) {
    for (const auto& row : kTable) {
        if (row.from == state && row.event == event) {
            return {row.to, row.action};
        }
    }
    return {state, RunAction::none};
}

std::string_view state_name(RunState state) {
    switch (state) {
        case S::down: return "down";
        case S::preparing: return "preparing";
        case S::starting: return "starting";
        case S::up: return "up";
        case S::stopping: return "stopping";
        case S::backoff: return "backoff";
        case S::failed: return "failed";
    }
    return "";
}

bool wants_network(RunState state, bool has_process) {
    return state != S::down && (state != S::stopping || has_process);
}

bool wants_process(RunState state) {
    return state == S::preparing || state == S::starting || state == S::up;
}

}  // namespace viscum
