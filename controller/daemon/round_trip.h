// SPDX-License-Identifier: GPL-2.0-only
// How far a place is: the time that a TCP handshake takes, from the router's own namespace. Nothing is sent on the
// connection, which is closed at once.
#pragma once

#include <functional>
#include <optional>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "controller/savings/rounds.h"

namespace viscum {

class RoundTrip {
public:
    /// Microseconds; nullopt: no connection came about within 5 s.
    using Done = std::function<void(std::optional<std::int64_t>)>;

    explicit RoundTrip(EventLoop& loop) : loop_(loop) {}
    ~RoundTrip() { release(); }
    RoundTrip(const RoundTrip&) = delete;
    RoundTrip& operator=(const RoundTrip&) = delete;

    [[nodiscard]] bool under_way() const { return static_cast<bool>(done_); }
    /// `done` is called once, from the loop, in a later turn. Not while one is under way.
    void start(const CloudTarget& target, Done done);

private:
    [[nodiscard]] std::int64_t took() const;
    void finish(bool connected);
    void release();

    EventLoop& loop_;
    UniqueFd socket_;
    EventLoop::TimerId timer_ = 0;
    BootTime begun_{};
    Done done_;
};

}  // namespace viscum
