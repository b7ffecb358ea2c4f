// SPDX-License-Identifier: GPL-2.0-only
// What happened in a soak, and what may have happened: the nemesis writes down each step and the troubles that it
// excuses, clients write down each request, and judge() compares the two. Nothing here does I/O.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "tests/support/http_client.h"

namespace viscum {

enum class Trouble {
    reset,       // a connection that was open was reset, or ended early
    unanswered,  // no answer for any other reason
};

/// What a step excuses: of each stream that concerns `whom`, at most `most` troubles, and any number of them while
/// nobody can mend what it did.
struct Allowance {
    Trouble trouble = Trouble::reset;
    std::string whom;  // a service, "client4", "egress", "control"
    int most = 1;
};

struct Step {
    BootTime begin{};
    BootTime end{};    // it was undone
    std::string kind;  // a row of the table
    std::string what;  // "SIGKILL to web's main process"
    std::vector<Allowance> allows{};
    bool takes_viscumd = false;  // ended or stopped: nothing is mended meanwhile
    bool began = true;           // one that could not begin excuses nothing
};

/// One client's requests, one after the other.
struct Stream {
    std::string name;
    std::vector<std::string> concerns;  // whom steps name: its service, its client
    std::vector<std::string> answers;   // who may answer; the first of them must have, at least once
    bool fresh = false;                 // a connection for each request, at a port of the bridge that stays
};

struct Seen {
    BootTime begin{};  // of a request on a kept connection: of the one before, since when it may have been reset
    BootTime end{};
    std::size_t stream = 0;
    Outcome outcome = Outcome::failed;
    std::string who;  // who answered, or what happened
};

struct History {
    std::vector<Stream> streams;
    std::vector<Step> steps;
    std::vector<Seen> seen;  // of each stream in its order
};

struct Verdict {
    std::vector<std::string> problems;
    std::size_t requests = 0;
    std::size_t failed = 0;  // not answered and not excused, or answered by the wrong one; problems shows some of them
    std::map<Trouble, std::size_t> explained;
    BootTime longest_gap{};  // between two answers of a stream
    std::string longest_gap_of;
};

/// Its effects are over so long after a step was undone: what another tool removed is back within 1 s, and machines
/// may be slow.
constexpr Millis kLinger{5'000};
/// So long after viscumd is back all that was done meanwhile is mended.
constexpr Millis kMended{1'000};

/// Every request was answered, by one who may answer, but for troubles that a step excuses which was under way
/// meanwhile. An answer by the wrong one is never excused.
Verdict judge(const History& history);

/// From the begin of each step of `kind` to the end of the first answer that was asked for afterwards, for the fresh
/// streams of whom it excuses first: milliseconds.
std::vector<double> fail_overs(const History& history, const std::string& kind);

/// The steps, a line each: seconds since the first one, what, and how long.
std::string to_text(const std::vector<Step>& steps);

}  // namespace viscum
