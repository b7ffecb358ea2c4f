// SPDX-License-Identifier: GPL-2.0-only
// viscumctl savings.
#pragma once

#include <string>

#include "controller/ctl/commands.h"
#include "controller/ipc/savings_report.h"

namespace viscum {

/// `service` "": all; `days` "": as many as viscumd thinks fit. Services that are gone are shown as well.
int savings(const Session& session, const std::string& service, const std::string& days, bool csv);

/// A block for each service, at most 80 columns wide where figures allow it, and the sum of all. Pure.
std::string render_savings(const SavingsReport& report, bool colour);
/// RFC 4180: a head and a record for each row, in the order of docs/json.md. Pure.
std::string csv_of(const SavingsReport& report);

}  // namespace viscum
