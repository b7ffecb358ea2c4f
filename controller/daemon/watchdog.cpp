// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/watchdog.h"

#include <unistd.h>

#include <csignal>
#include <string_view>
#include <utility>

namespace viscum {
namespace {

/// Interrupts whatever hangs: only what is safe in a handler (signal-safety(7)).
void end_hanging(int) {
    constexpr std::string_view kText =
        "viscumd hangs, and ends itself: services go on, and the next viscumd adopts them\n";
    [[maybe_unused]] const auto ignored = write(STDERR_FILENO, kText.data(), kText.size());
    _exit(1);
}

Result<timer_t> make_timer(int signal) {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signal;
    timer_t timer{};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
        return errno_error("cannot make a timer");
    }
    return timer;
}

Status arm(timer_t timer, std::chrono::milliseconds limit) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
    itimerspec when{};
    when.it_value.tv_sec = seconds.count();
    when.it_value.tv_nsec = static_cast<long>(std::chrono::nanoseconds(limit - seconds).count());
    return timer_settime(timer, 0, &when, nullptr) == 0 ? Status() : Status(errno_error("cannot set a timer"));
}

}  // namespace

Result<Watchdog> Watchdog::open() {
    struct sigaction action {};
    action.sa_handler = end_hanging;
    if (sigaction(SIGALRM, &action, nullptr) != 0) {
        return errno_error("cannot handle SIGALRM");
    }
    const auto speak = make_timer(SIGALRM);
    if (!speak) {
        return speak.error();
    }
    const auto kill = make_timer(SIGKILL);
    if (!kill) {
        timer_delete(*speak);
        return kill.error();
    }
    return Watchdog(*speak, *kill);
}

Watchdog::Watchdog(Watchdog&& other) noexcept
    : speak_(std::exchange(other.speak_, std::nullopt)), kill_(std::exchange(other.kill_, std::nullopt)) {}

Watchdog::~Watchdog() {
    for (const auto& timer : {speak_, kill_}) {
        if (timer) {
            timer_delete(*timer);
        }
    }
}

Status Watchdog::feed(std::chrono::milliseconds limit) const {
    auto status = arm(*speak_, limit);
    return status ? arm(*kill_, limit + kGrace) : std::move(status);
}

}  // namespace viscum
