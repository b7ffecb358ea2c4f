// SPDX-License-Identifier: GPL-2.0-only
// Where viscumd answers those who may look and change nothing (docs/adr/0016). Beside /run/NAME, which is root's alone.
#pragma once

#include <string>

#include "base/instance.h"

namespace viscum {

/// The account of viscum-exporter; its group is the one that may look.
inline constexpr const char* kObserverAccount = "viscum-exporter";

/// No instance has a name with a hyphen: this is no other one's run directory.
inline std::string observe_dir(const Instance& instance) {
    return "/run/" + instance.name + "-observe";
}
inline std::string observe_socket(const Instance& instance) {
    return observe_dir(instance) + "/socket";
}

}  // namespace viscum
