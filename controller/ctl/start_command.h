// SPDX-License-Identifier: GPL-2.0-only
// What an operator types to start the viscumd that does not run.
#pragma once

#include <string>

namespace viscum {

/// By the init system that has a file for it: OpenWrt's script is named as the instance, systemd's unit is for the
/// instance that has no name of its own. Without either, viscumd's own command line. `root` is put before each path
/// that is looked at.
std::string start_command(const std::string& instance, const std::string& root = "");

}  // namespace viscum
