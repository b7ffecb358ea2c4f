// SPDX-License-Identifier: GPL-2.0-only
// The packet that is asked with, where the query leaves something open.
#pragma once

#include "controller/why/flow_query.h"
#include "tcprog/question.h"

namespace viscum {

// Ports of a client's that are made up: above what Linux chooses by itself.
inline constexpr std::uint16_t kFirstMadeUp = 61'000;
inline constexpr std::uint16_t kLastMadeUp = 61'031;  // each that is tried costs a look at all rules

inline Question question_of(const FlowQuery& query, std::uint16_t source_port, std::uint8_t tcp_flags) {
    return {query.source, query.destination, source_port, query.port, static_cast<std::uint8_t>(query.protocol),
            tcp_flags};
}

}  // namespace viscum
