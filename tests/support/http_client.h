// SPDX-License-Identifier: GPL-2.0-only
// HTTP from inside a namespace: blocking, bounded in time, and exact about how it failed.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "tests/support/endpoint.h"

namespace viscum {

enum class Outcome {
    answered,     // a whole response
    refused,      // a reset answered the SYN
    reset,        // reset later
    closed,       // ended before a whole response
    timed_out,    //
    unreachable,  // an ICMP error, or no route
    failed,       // anything else: see `error`
};
const char* to_text(Outcome outcome);

struct HttpResult {
    Outcome outcome = Outcome::failed;
    int status = 0;
    std::string body;
    std::string error;  // of any outcome but answered
    std::chrono::nanoseconds took{};

    /// Who answered, where servers say that in their body: "local", "cloud"; else what happened.
    [[nodiscard]] std::string who() const;
};

struct HttpRequest {
    Endpoint to;
    std::string path = "/";
    Endpoint from{};  // unspecified parts are the kernel's choice
    std::chrono::milliseconds limit{5'000};
    bool to_the_end = false;  // wait until the server has closed, so that the TIME-WAIT is its own
};

/// One HTTP/1.0 GET on a connection of its own.
HttpResult http_get(const NetNs& ns, const HttpRequest& request);

/// A connection that stays open: HTTP/1.1, one GET after the other.
class KeptConnection {
public:
    /// Connects within `request.limit`.
    static Result<KeptConnection> open(const NetNs& ns, const HttpRequest& request);
    HttpResult get();

private:
    KeptConnection(UniqueFd fd, HttpRequest request) : fd_(std::move(fd)), request_(std::move(request)) {}
    UniqueFd fd_;
    HttpRequest request_;
};

}  // namespace viscum
