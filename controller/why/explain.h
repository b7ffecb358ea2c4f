// SPDX-License-Identifier: GPL-2.0-only
// What would become of a packet, and why, in sentences. Pure.
#pragma once

#include <string>
#include <vector>

#include "controller/why/evidence.h"

namespace viscum {

/// One reason, or one thing beside it that an operator would look at next.
struct Remark {
    std::string about;  // "way in", "claim", "admission", "listener", "answer", "health", …
    std::string says;
    bool operator==(const Remark&) const = default;
};

struct Explanation {
    std::string outcome;  // "served", "cloud", "dropped", "unclaimed", "unseen", or "unknown"
    std::string verdict;  // the datapath's; empty where it was not asked
    std::string service;  // whose claim it is; empty: nobody's, or viscumd does not say
    std::string claim;
    std::string says;  // one sentence
    std::vector<Remark> because;
    std::vector<std::string> next;  // commands
    bool operator==(const Explanation&) const = default;
};

Explanation explain(const Evidence& evidence);

}  // namespace viscum
