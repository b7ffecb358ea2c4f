// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/fsm.h"

#include <doctest/doctest.h>

#include <array>
#include <set>

using namespace viscum;

namespace {

using S = RunState;
using E = RunEvent;
constexpr std::array kStates{S::down, S::preparing, S::starting, S::up, S::stopping, S::backoff, S::failed};
constexpr std::array kEvents{E::start,          E::launched,        E::launch_failed, E::healthy, E::start_timed_out,
                             E::exited,         E::exited_for_good, E::backoff_over,  E::stop,    E::drained,
                             E::stop_timed_out, E::dismantled};

}  // namespace

TEST_CASE("fsm: a service comes up, and goes down in order") {
    S state = S::down;
    for (const auto& [event, expected] :
         {std::pair(E::start, S::preparing), std::pair(E::launched, S::starting), std::pair(E::healthy, S::up),
          std::pair(E::stop, S::stopping), std::pair(E::drained, S::stopping), std::pair(E::dismantled, S::down)}) {
        state = next_state(state, event).state;
        CHECK(state == expected);
    }
}

TEST_CASE("fsm: a crash leads to a pause and a new start, from wherever the process ran") {
    for (const S state : {S::starting, S::up}) {
        CHECK(next_state(state, E::exited) == Transition{S::backoff, RunAction::back_off});
        CHECK(next_state(state, E::exited_for_good).state == S::failed);
    }
    CHECK(next_state(S::backoff, E::backoff_over).state == S::preparing);
}

TEST_CASE("fsm: a stop is obeyed in every state, and only connections are waited for") {
    for (const S state : kStates) {
        if (state == S::down || state == S::stopping) {
            continue;
        }
        const auto next = next_state(state, E::stop);
        CHECK(next.state == S::stopping);
        CHECK(next.action == (state == S::up ? RunAction::drain : RunAction::terminate));
    }
}

TEST_CASE("fsm: nothing but a stop leads to stopping, and nothing leads out of it but the end") {
    for (const S state : kStates) {
        for (const E event : kEvents) {
            const auto next = next_state(state, event);
            if (state != S::stopping && next.state == S::stopping) {
                CHECK(event == E::stop);
            }
            if (state == S::stopping && next.state != S::stopping) {
                CHECK(event == E::dismantled);
            }
        }
    }
}

TEST_CASE(
    "fsm: a run that wants a process wants its network, and a stopped one keeps it as long as the process lives") {
    for (const S state : kStates) {
        if (wants_process(state)) {
            CHECK(wants_network(state, false));
        }
    }
    CHECK(wants_network(S::stopping, true));
    CHECK_FALSE(wants_network(S::stopping, false));
    CHECK_FALSE(wants_network(S::down, false));
}

TEST_CASE("fsm: every state has a name of its own") {
    std::set<std::string_view> names;
    for (const S state : kStates) {
        names.insert(state_name(state));
    }
    CHECK(names.size() == kStates.size());
}
