// SPDX-License-Identifier: GPL-2.0-only
// What a rule admits: the one field that the planner decides and the programs in the kernel obey.
#pragma once

#include <cstdint>

namespace viscum {

enum class Admission : std::uint8_t {
    off = 0,    // as if there were no rule
    drain = 1,  // flows that run go on, new ones go to the cloud
    serve = 2,
};

constexpr const char* admission_name(Admission admission) {
    switch (admission) {
        case Admission::off: return "off";
        case Admission::drain: return "drain";
        case Admission::serve: return "serve";
    }
    return "";
}

}  // namespace viscum
