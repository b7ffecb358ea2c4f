// SPDX-License-Identifier: GPL-2.0-only
// The clients of a soak: each a thread that asks without end and writes down what it sees.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "tests/faults/soak/history.h"
#include "tests/support/udp_client.h"

namespace viscum {

/// What a request came to; `since` where trouble may have begun before it (a kept connection).
struct Answer {
    Outcome outcome = Outcome::failed;
    std::string who;
    std::optional<BootTime> since{};
};
/// Nothing: there was nothing to ask.
using Ask = std::function<std::optional<Answer>()>;

class Load {
public:
    Load() = default;
    ~Load() { (void)stop(); }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    /// A stream's requests begin at once, `pause` apart.
    void start(Stream stream, std::chrono::microseconds pause, Ask ask);
    /// Ends all after the requests under way; streams and what they saw, without steps. Idempotent.
    History stop();

private:
    struct Client {
        Stream stream;
        std::vector<Seen> seen;
        std::jthread thread;
    };
    std::deque<Client> clients_;  // their addresses stay
};

/// A connection for each request.
Ask fresh(const NetNs& ns, const Endpoint& to);
/// Twenty requests to a connection, which the client then ends.
Ask kept(const NetNs& ns, const Endpoint& to);
/// 1 MiB of nginx's, read slowly: a second or more. "whole" is who answers.
Ask slow_download(const NetNs& ns, const Endpoint& to);
/// A datagram; `queries` from each socket. The answer must come from where it was asked: else "stranger" answers.
Ask datagram(const NetNs& ns, const Endpoint& to, int queries);

}  // namespace viscum
