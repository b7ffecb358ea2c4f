// SPDX-License-Identifier: GPL-2.0-only
// The daemon's state as the values of ipc/report.h.
#pragma once

#include <optional>
#include <string>

#include "base/event_loop.h"
#include "controller/daemon/services.h"
#include "controller/ipc/report.h"
#include "controller/world/world.h"

namespace viscum {

ServiceReport report_service(const Service& service, World& world, const RunContext& context);

/// What the service can and cannot do, by its process where it runs.
AuditReport report_audit(const Service& service, const RunContext& context);

/// Everything, or one service alone.
DaemonReport report_daemon(const Services& services, World& world, const RunContext& context,
                           std::optional<BootTime> lease_until, const std::string& only);

}  // namespace viscum
