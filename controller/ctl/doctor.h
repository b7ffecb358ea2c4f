// SPDX-License-Identifier: GPL-2.0-only
// viscumctl doctor: what keeps traffic from being served on this machine, and what mends it.
#pragma once

#include <string>

#include "controller/ctl/commands.h"
#include "controller/doctor/diagnose.h"

namespace viscum {

/// Looks at the machine, asks the daemon where one runs, and writes the findings. Changes nothing. Code::failed where
/// something keeps traffic from being served, Code::refused for others than root.
int doctor(const Session& session);

/// Pure: a line for each finding, with what mends it below, and a summary.
std::string render_diagnosis(const Diagnosis& diagnosis, bool colour);
/// Pure: docs/json.md names the fields.
std::string diagnosis_document(const Diagnosis& diagnosis);

}  // namespace viscum
