// SPDX-License-Identifier: GPL-2.0-only
// One thread, one epoll, one timerfd over a heap of deadlines.
//
// A turn handles what is ready in a fixed order (`Order`), so that a client never sees a state that a signal, a
// dead child or news from the kernel has already made old. Handlers take under 10 ms and never sleep.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// Time since boot, suspend included (CLOCK_BOOTTIME): the clock of every deadline, and of the BPF programs.
using BootTime = std::chrono::nanoseconds;
using Millis = std::chrono::milliseconds;

BootTime boot_now();

/// An error where this process sees another CLOCK_BOOTTIME than the kernel (time_namespaces(7)): the BPF programs would
/// take the lease for another time. Kernels without time namespaces have one clock.
Status boot_time_is_the_kernels();

enum class Order { signals, children, netlink, timers, clients };

class EventLoop {
public:
    using FdHandler = std::function<void(std::uint32_t events)>;
    using TimerHandler = std::function<void()>;
    using TimerId = std::uint64_t;  // 0 is never used

    static Result<std::unique_ptr<EventLoop>> open();

    /// Watches `fd`, which stays the caller's. One watch a descriptor; `events` are EPOLLIN, EPOLLOUT, …
    Status watch(int fd, Order order, std::uint32_t events, FdHandler handler);
    Status rewatch(int fd, std::uint32_t events);
    /// Must come before the descriptor is closed. Safe inside any handler, also the descriptor's own, and for
    /// descriptors that are not watched. Events of this turn that were not yet delivered are dropped.
    void unwatch(int fd);

    /// Calls `handler` once at `when`, or in this turn's timers if that has passed.
    TimerId at(BootTime when, TimerHandler handler);
    TimerId after(Millis delay, TimerHandler handler) { return at(boot_now() + delay, std::move(handler)); }
    /// Unknown and expired ids are accepted.
    void cancel(TimerId id);

    /// `hook` runs at the end of every turn (the level-triggered reconcile).
    void each_turn(std::function<void()> hook) { turn_hook_ = std::move(hook); }

    /// Runs until stop().
    Status run();
    void stop() { running_ = false; }

private:
    struct Watch {
        Order order;
        std::uint64_t serial;
        std::shared_ptr<FdHandler> handler;  // shared: a handler may unwatch itself while it runs
    };

    EventLoop(UniqueFd epoll, UniqueFd timer) : epoll_(std::move(epoll)), timer_(std::move(timer)) {}
    Status arm();
    void run_timers();

    UniqueFd epoll_;
    UniqueFd timer_;
    std::map<int, Watch> watches_;
    std::set<std::pair<BootTime, TimerId>> deadlines_;
    std::map<TimerId, std::pair<BootTime, TimerHandler>> timers_;
    std::function<void()> turn_hook_;
    BootTime armed_{};
    TimerId next_timer_ = 1;
    std::uint64_t next_serial_ = 1;
    bool running_ = false;
};

}  // namespace viscum
