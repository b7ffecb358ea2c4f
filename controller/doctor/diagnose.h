// SPDX-License-Identifier: GPL-2.0-only
// What keeps traffic from being served, or will, and what mends it. Pure.
#pragma once

#include <string>
#include <vector>

#include "controller/doctor/facts.h"

namespace viscum {

enum class Severity {
    good,
    warning,  // something is, or may come, other than an operator would want it
    problem,  // traffic is not served, or not as the files say
};

struct Finding {
    std::string check;  // "kernel", "configuration", "viscumd", …
    Severity severity = Severity::good;
    std::string what;
    std::string mend;  // a command, or what to do; empty where `good`
    bool operator==(const Finding&) const = default;
};

struct Diagnosis {
    std::string grade;  // "socket" or "classic", or "none": this kernel can serve nothing
    std::vector<Finding> findings;
};

/// At least one finding of each check, in the order in which one would mend them.
Diagnosis diagnose(const Facts& facts);

/// Whether any of them keeps traffic from being served.
bool has_problem(const Diagnosis& diagnosis);

}  // namespace viscum
