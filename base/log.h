// SPDX-License-Identifier: GPL-2.0-only
// The program's log: one line a message on stderr, where procd and systemd pick it up.
// Only daemon/ and ctl/ log above debug; libraries return their errors.
#pragma once

#include <string_view>

namespace viscum {

enum class LogLevel { debug, info, warn, error };

/// Before the first call messages from `info` upwards are written.
void set_log_level(LogLevel level);
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warn(std::string_view message);
void log_error(std::string_view message);

}  // namespace viscum
