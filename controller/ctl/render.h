// SPDX-License-Identifier: GPL-2.0-only
// Reports as text for people, at most 80 columns wide where names allow it. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controller/ipc/report.h"

namespace viscum {

/// "999 B", "1.2 kB", "34 MB": powers of 1000, two digits at least.
std::string human_bytes(std::uint64_t bytes);
/// "9999", "12.3k", "4.5M".
std::string human_count(std::uint64_t count);
/// The two largest units: "850ms", "12s", "5m 3s", "2h 5m", "3d 4h".
std::string human_time(std::chrono::milliseconds time);

/// `text` without what moves a terminal's cursor: control characters become '?', a new line a space.
std::string printable(std::string_view text);
/// What of `text` fits `columns`, cut between characters.
std::string cut_to(std::string_view text, std::size_t columns);

/// A name, its state and how it does for each service, then why for those that do not serve.
std::string render_list(const std::vector<ServiceReport>& services, bool colour);
/// The daemon, its LAN devices and totals, then render_list.
std::string render_daemon(const DaemonReport& report, bool colour);
/// Everything that a service's report says.
std::string render_service(const ServiceReport& service, bool colour);

/// One line an item, marked where it exposes something, and the score in the end.
std::string render_audit(const AuditReport& audit, bool colour);

}  // namespace viscum
