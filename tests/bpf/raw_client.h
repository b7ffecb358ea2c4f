// SPDX-License-Identifier: GPL-2.0-only
// A client by hand: it writes frames into the LAN and reads them, past any stack, so that a test decides what a
// connection does next. Its addresses are nobody's, or the client's own stack would reset what it does not know.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/unique_fd.h"
#include "netns/net_ns.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/reading.h"

namespace viscum {

class RawClient {
public:
    /// On eth0 of `ns`. Nothing, and the running test failed, where it cannot be opened.
    static std::optional<RawClient> open(const NetNs& ns);
    /// False, and the test failed, where the frame was not taken.
    bool send(const Bytes& frame) const;
    bool send(const Frame& frame) const { return send(build(frame)); }
    /// The next frame to the client that `wanted` says yes to.
    std::optional<Bytes> receive(const std::function<bool(const Reading&)>& wanted,
                                 std::chrono::milliseconds limit = std::chrono::seconds(2)) const;

private:
    explicit RawClient(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

/// One TCP connection of a raw client.
class RawConnection {
public:
    /// `syn` says between whom.
    RawConnection(const RawClient& client, Frame syn) : client_(&client), next_(std::move(syn)) {}

    bool send_syn();
    /// Waits for the SYN-ACK; afterwards next() is the ACK that finishes the handshake.
    bool await_syn_ack();
    bool connect() { return send_syn() && await_syn_ack() && client_->send(next()); }
    /// Waits for the service's FIN and acknowledges it with one of its own: the service's socket is in time-wait then.
    bool end_after_service();
    /// The frame that comes next: an ACK of all that was received.
    [[nodiscard]] const Frame& next() const { return next_; }
    /// The same 4-tuple, from the SYN on.
    [[nodiscard]] Frame syn() const;

private:
    [[nodiscard]] std::optional<Reading> await(int flags) const;

    const RawClient* client_;
    Frame next_;
};

}  // namespace viscum
