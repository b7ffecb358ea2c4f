// SPDX-License-Identifier: GPL-2.0-only
// Rules as viscumd reports them, where there is no program that could be asked. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "controller/why/evidence.h"

namespace viscum {

/// What Claim::text() wrote.
std::optional<Claim> parse_claim(std::string_view text);

/// What becomes of a new flow: of the claims that hold it the longest prefix decides, by its admission.
Ruling ruling_by_report(const FlowQuery& query, const DaemonReport& report);

}  // namespace viscum
