// SPDX-License-Identifier: GPL-2.0-only
// Real sockets for a world: connections are made by TCP_REPAIR, handshakes and ends by frames that are written into the
// service's link.
#pragma once

#include <optional>

#include "base/unique_fd.h"
#include "tests/bpf/lab.h"
#include "tests/faults/model/model_world.h"

namespace viscum {

/// Invalid where it cannot be opened: another one stands in the way. A time-wait socket has no descriptor: it is only
/// closed here, and finish_time_waits() brings the client's last word.
UniqueFd open_world_socket(const NetNs& ns, const WorldSocket& socket);

/// The router's end of a link, to write frames to the service and to read what it sends.
class LinkEnd {
public:
    static std::optional<LinkEnd> open(std::uint32_t ifindex);
    /// False, and the running test failed, where that does not work.
    [[nodiscard]] bool send(const Bytes& frame) const;
    /// What the client says after the service has closed: the socket is in time-wait then.
    [[nodiscard]] bool end_connection(const WorldSocket& socket) const;
    [[nodiscard]] bool send_syn(const WorldSocket& socket) const;
    /// Sends a SYN, and waits for the answer with its cookie.
    [[nodiscard]] std::optional<WorldCookie> ask_cookie(const WorldSocket& socket) const;

private:
    explicit LinkEnd(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

/// Waits until the namespace has as many TCP sockets in these states.
bool wait_for_tcp_states(const NetNs& ns, std::size_t handshakes, std::size_t time_waits);

}  // namespace viscum
