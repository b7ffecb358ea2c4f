// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl why`: what would become of a packet, and why.
#pragma once

#include <string>

#include "controller/ctl/commands.h"
#include "controller/why/explain.h"

namespace viscum {

/// The document of --json: docs/json.md.
std::string explanation_document(const FlowQuery& query, const Explanation& explanation);
std::string render_explanation(const Explanation& explanation, bool colour);

/// Works where no viscumd runs, too. 0: the question was answered, whatever the answer is.
int why(const Session& session, const std::string& source, const std::string& destination);

}  // namespace viscum
