// SPDX-License-Identifier: GPL-2.0-only
// Ends a viscumd that hangs, so that procd or systemd start it again: a kernel timer that only work puts off. Needs
// nobody who watches, and works under any init system. Until then the lease has given new flows to the cloud.
#pragma once

#include <time.h>

#include <chrono>
#include <optional>

#include "base/result.h"

namespace viscum {

class Watchdog {
public:
    /// `limit` after the last feed() SIGALRM makes the process say that it hangs and exit with 1; kGrace later, where
    /// even that does not come (a stopped process), SIGKILL ends it. Counts the machine's time awake (CLOCK_MONOTONIC).
    /// One in a process; not handed down to children. The first feed() starts it.
    static Result<Watchdog> open();
    static constexpr std::chrono::milliseconds kGrace{5'000};

    Watchdog(Watchdog&& other) noexcept;
    Watchdog& operator=(Watchdog&&) = delete;
    ~Watchdog();

    Status feed(std::chrono::milliseconds limit) const;

private:
    Watchdog(timer_t speak, timer_t kill) : speak_(speak), kill_(kill) {}
    std::optional<timer_t> speak_;
    std::optional<timer_t> kill_;
};

}  // namespace viscum
