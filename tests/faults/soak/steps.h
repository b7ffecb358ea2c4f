// SPDX-License-Identifier: GPL-2.0-only
// What the nemesis can do: one small function for each kind of fault, in tables. Each knows its way back and what it
// may excuse.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/faults/soak/history.h"
#include "tests/faults/soak/stage.h"

namespace viscum {

using Dice = std::mt19937;

/// 0 to `limit` - 1.
inline std::size_t below(Dice& dice, std::size_t limit) {
    return dice() % limit;
}
template <class List>
auto one_of(Dice& dice, const List& list) {
    return list[below(dice, std::size(list))];
}

/// A fault that has begun, or could not.
struct Fault {
    std::string what;  // of one that could not begin: why
    std::vector<Allowance> allows{};
    std::function<std::string()> undo{};  // what is to be added to `what`
    bool last = false;                    // undone when all others are, and viscumd runs
    bool takes_viscumd = false;           // as Step has it
    bool began = true;
};
inline Fault not_begun(const std::string& why) {
    Fault fault;
    fault.what = why;
    fault.began = false;
    return fault;
}

struct Kind {
    const char* name;
    Millis longest;  // until it is undone
    Fault (*begin)(Stage& stage, Dice& dice);
    bool ends_watched = false;  // ends a program that is watched for growth
};

const std::vector<Kind>& process_kinds();
const std::vector<Kind>& operator_kinds();
const std::vector<Kind>& network_kinds();
const std::vector<Kind>& resource_kinds();
/// All of these.
std::vector<Kind> all_kinds();

/// A service that may be disturbed now, drawn.
std::string some_service(Stage& stage, Dice& dice);

inline Allowance resets(const std::string& whom, int most = 1) {
    return {Trouble::reset, whom, most};
}
inline Allowance losses(const std::string& whom, int most = 1) {
    return {Trouble::unanswered, whom, most};
}
/// What a service's own flows may suffer with it.
void add_egress(const std::string& service, std::vector<Allowance>& allows);

}  // namespace viscum
