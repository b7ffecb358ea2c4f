// SPDX-License-Identifier: GPL-2.0-only
// What others get while one service is flooded.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tests/support/http_client.h"

namespace viscum {

/// One client's requests, one after the other, each on a connection of its own.
struct Measured {
    double per_second = 0;  // that were answered
    double p50_ms = 0;
    double p99_ms = 0;
    std::uint64_t answered = 0;
    std::uint64_t others = 0;  // answered by another one than `who`
    std::uint64_t failed = 0;
};

/// For `length`; `who` is expected to answer.
Measured measure(const NetNs& ns, const HttpRequest& request, const std::string& who, std::chrono::milliseconds length);

}  // namespace viscum
