// SPDX-License-Identifier: GPL-2.0-only
#include "base/event_loop.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <string>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

BootTime boot_now() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

Status boot_time_is_the_kernels() {
    constexpr const char* kOffsets = "/proc/self/timens_offsets";
    const auto text = read_file(kOffsets, 4096);
    // "boottime SECONDS NANOSECONDS"
    for (const auto& line : split(text ? *text : "", '\n')) {
        std::vector<std::string> words = split(line, ' ');
        std::erase(words, "");
        if (words.size() == 3 && words[0] == "boottime" && (words[1] != "0" || words[2] != "0")) {
            return Error{EINVAL,
                         cat("the boot time is shifted by ", words[1], " s here (", kOffsets,
                             "), and the kernel's programs do not see that: run outside of the time namespace")};
        }
    }
    return {};
}

Result<std::unique_ptr<EventLoop>> EventLoop::open() {
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) {
        return errno_error("cannot create an epoll instance");
    }
    UniqueFd timer(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer) {
        return errno_error("cannot create a timer");
    }
    std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(timer)));
    EventLoop* self = loop.get();
    if (auto status =
            loop->watch(loop->timer_.get(), Order::timers, EPOLLIN, [self](std::uint32_t) { self->run_timers(); });
        !status) {
        return std::move(status).error();
    }
    return loop;
}

Status EventLoop::watch(int fd, Order order, std::uint32_t events, FdHandler handler) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = (next_serial_ << 24) | static_cast<std::uint32_t>(fd);
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        return errno_error("cannot watch a descriptor");
    }
    watches_[fd] = {order, next_serial_++, std::make_shared<FdHandler>(std::move(handler))};
    return {};
}

Status EventLoop::rewatch(int fd, std::uint32_t events) {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) {
        return errno_error("cannot watch a descriptor", ENOENT);
    }
    epoll_event event{};
    event.events = events;
    event.data.u64 = (found->second.serial << 24) | static_cast<std::uint32_t>(fd);
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
        return errno_error("cannot watch a descriptor");
    }
    return {};
}

void EventLoop::unwatch(int fd) {
    if (watches_.erase(fd) != 0) {
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    }
}

EventLoop::TimerId EventLoop::at(BootTime when, TimerHandler handler) {
    const TimerId id = next_timer_++;
    deadlines_.emplace(when, id);
    timers_.emplace(id, std::pair(when, std::move(handler)));
    return id;
}

void EventLoop::cancel(TimerId id) {
    if (const auto found = timers_.find(id); found != timers_.end()) {
        deadlines_.erase({found->second.first, id});
        timers_.erase(found);
    }
}

void EventLoop::run_timers() {
    std::uint64_t expirations = 0;
    [[maybe_unused]] const auto ignored = read(timer_.get(), &expirations, sizeof expirations);
    armed_ = {};
    // Bounded by what was due at the start: a handler that asks for "now" again waits for the next turn.
    const BootTime now = boot_now();
    std::vector<TimerId> due;
    for (auto it = deadlines_.begin(); it != deadlines_.end() && it->first <= now; ++it) {
        due.push_back(it->second);
    }
    for (const TimerId id : due) {
        const auto found = timers_.find(id);
        if (found == timers_.end()) {
            continue;  // cancelled by a handler before it
        }
        const TimerHandler handler = std::move(found->second.second);
        cancel(id);
        handler();
    }
}

Status EventLoop::arm() {
    const BootTime first = deadlines_.empty() ? BootTime{} : std::max(deadlines_.begin()->first, BootTime{1});
    if (first == armed_) {
        return {};
    }
    itimerspec spec{};
    spec.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(first).count();
    spec.it_value.tv_nsec = static_cast<long>((first % std::chrono::seconds(1)).count());
    if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr) != 0) {
        return errno_error("cannot set the timer");
    }
    armed_ = first;
    return {};
}

Status EventLoop::run() {
    running_ = true;
    std::array<epoll_event, 64> ready{};
    struct Due {
        Order order;
        int fd;
        std::uint64_t serial;
        std::uint32_t events;
    };
    std::vector<Due> due;
    while (running_) {
        if (auto status = arm(); !status) {
            return status;
        }
        const int count = epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
        if (count < 0 && errno != EINTR) {
            return errno_error("cannot wait for events");
        }
        due.clear();
        for (int i = 0; i < count; ++i) {
            const auto& event = ready[static_cast<std::size_t>(i)];
            const int fd = static_cast<int>(event.data.u64 & 0xffffff);
            if (const auto found = watches_.find(fd); found != watches_.end()) {
                due.push_back({found->second.order, fd, event.data.u64 >> 24, event.events});
            }
        }
        std::stable_sort(due.begin(), due.end(), [](const Due& a, const Due& b) { return a.order < b.order; });
        for (const Due& item : due) {
            const auto found = watches_.find(item.fd);
            if (found == watches_.end() || found->second.serial != item.serial) {
                continue;  // unwatched, or the number was given to another descriptor, in this turn
            }
            const auto handler = found->second.handler;
            (*handler)(item.events);
        }
        if (turn_hook_) {
            turn_hook_();
        }
    }
    return {};
}

}  // namespace viscum
