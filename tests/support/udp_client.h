// SPDX-License-Identifier: GPL-2.0-only
// UDP from inside a namespace: one datagram out, one back.
#pragma once

#include <chrono>
#include <string>

#include "tests/support/endpoint.h"

namespace viscum {

struct UdpResult {
    bool answered = false;
    std::string reply;
    Endpoint source;    // who the reply says it is from: it is accepted from anybody
    std::string error;  // where there is no answer
    std::chrono::nanoseconds took{};
};

struct UdpRequest {
    Endpoint to;
    std::string payload{};
    Endpoint from{};
    std::chrono::milliseconds limit{2'000};
};

/// From a socket of its own, so from a new port.
UdpResult udp_query(const NetNs& ns, const UdpRequest& request);

/// A socket that stays: the same flow for every query. `request` says from where and to whom.
class UdpFlow {
public:
    static Result<UdpFlow> open(const NetNs& ns, const UdpRequest& request);
    UdpResult query();

private:
    UdpFlow(UniqueFd fd, UdpRequest request) : fd_(std::move(fd)), request_(std::move(request)) {}
    UniqueFd fd_;
    UdpRequest request_;
};

/// A DNS query for `name`'s TXT record (RFC 1035, 4.1), recursion desired, id 0x5653.
std::string dns_txt_query(const std::string& name);
/// The first TXT string of the answer, or what is wrong with it.
std::string dns_txt_answer(const std::string& reply);

}  // namespace viscum
