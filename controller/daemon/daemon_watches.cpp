// SPDX-License-Identifier: GPL-2.0-only
// What wakes viscumd beside requests and timers: signals, and what others do to namespaces, links and nftables.
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/daemon.h"

namespace viscum {
namespace {

// News come in swarms; what another tool removed is to be back within 1 s.
constexpr Millis kNewsDelay{50};
constexpr const char* kNamesDir = "/run/netns";

}  // namespace

Status Daemon::watch_signals() {
    sigset_t mask;
    sigemptyset(&mask);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&mask, number);
    }
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    signals_.reset(signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals_) {
        return errno_error("cannot watch signals");
    }
    return loop_->watch(signals_.get(), Order::signals, EPOLLIN, [this](std::uint32_t) { on_signal(); });
}

void Daemon::on_signal() {
    signalfd_siginfo info{};
    while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == SIGHUP) {
            reload();
        } else {
            log_info("ending; services and rules stay, until the lease ends");
            loop_->stop();
        }
    }
}

Status Daemon::watch_names() {
    if (auto status = make_directory(kNamesDir, 0755); !status) {
        return status;
    }
    names_.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!names_ || inotify_add_watch(names_.get(), kNamesDir, IN_DELETE | IN_MOVED_FROM) < 0) {
        return errno_error(cat("cannot watch ", kNamesDir));
    }
    return loop_->watch(names_.get(), Order::netlink, EPOLLIN, [this](std::uint32_t) {
        read_names_news();
        reconciler_->touch_after(kNewsDelay);
    });
}

void Daemon::read_names_news() {
    alignas(inotify_event) char bytes[4096];
    for (ssize_t got = 0; (got = read(names_.get(), bytes, sizeof bytes)) > 0;) {
        for (ssize_t at = 0; at < got;) {
            const auto* event = reinterpret_cast<const inotify_event*>(bytes + at);
            at += static_cast<ssize_t>(sizeof *event + event->len);
            if (event->len > 0) {
                world_->suspect_name(event->name);
            } else {
                world_->suspect_names();  // news were lost, or the directory is
            }
        }
    }
}

Status Daemon::watch_router() {
    return loop_->watch(world_->router_watch_fd(), Order::netlink, EPOLLIN, [this](std::uint32_t) {
        if (world_->drain_router_watch()) {
            reconciler_->touch_after(kNewsDelay);
        }
    });
}

/// A backend's watch comes with its namespace; before_closing() tells when it goes.
void Daemon::watch_backends() {
    for (const auto& [name, service] : services_->all()) {
        for (const auto& run : service.runs) {
            if (!run || backend_watches_.contains(run->key())) {
                continue;
            }
            const BackendKey key = run->key();
            const int fd = world_->backend_watch_fd(key);
            if (fd < 0) {
                continue;
            }
            const auto status = loop_->watch(fd, Order::netlink, EPOLLIN, [this, key](std::uint32_t) {
                if (world_->drain_backend_watch(key)) {
                    reconciler_->touch_after(kNewsDelay);
                }
            });
            if (status) {
                backend_watches_[key] = fd;
            }
        }
    }
}

/// While a service needs masquerading.
void Daemon::watch_nft() {
    if (nft_watched_ && !world_->masquerades()) {
        loop_->unwatch(world_->nft_watch_fd());
        world_->close_nft_watch();
        nft_watched_ = false;
    }
    if (nft_watched_ || world_->nft_watch_fd() < 0) {
        return;
    }
    nft_watched_ =
        static_cast<bool>(loop_->watch(world_->nft_watch_fd(), Order::netlink, EPOLLIN, [this](std::uint32_t) {
            if (world_->drain_nft_watch()) {
                reconciler_->touch_after(kNewsDelay);
            }
        }));
}

/// While a claim has an end: at the next one after `now`, and whenever the time of day is set, also after the last.
/// `now` is of before the rules were made.
void Daemon::watch_clock(WallTime now) {
    std::optional<WallTime> next;
    for (const auto& [name, service] : services_->all()) {
        for (const auto& run : service.runs) {
            if (run && !run->spec().ends.empty()) {
                next = std::min(next.value_or(WallTime::max()), next_end(run->spec(), now));
            }
        }
    }
    if (next == clock_set_to_) {
        return;
    }
    if (!next && clock_) {
        loop_->unwatch(clock_->fd());
        clock_.reset();
    }
    if (auto status = next ? set_clock(*next) : Status{}; !status) {
        if (!std::exchange(clock_failed_, true)) {
            log_warn(cat("the end of a claim is noticed late: ", status.error().what));
        }
        return;
    }
    clock_failed_ = false;
    clock_set_to_ = next;
}

Status Daemon::set_clock(WallTime when) {
    const bool is_new = !clock_;
    if (is_new) {
        auto alarm = WallAlarm::open();
        if (!alarm) {
            return std::move(alarm).error();
        }
        auto status = loop_->watch(alarm->fd(), Order::timers, EPOLLIN, [this](std::uint32_t) {
            clock_->take();
            clock_set_to_.reset();
            reconciler_->touch();
        });
        if (!status) {
            return status;
        }
        clock_.emplace(*std::move(alarm));
    }
    const auto was_set = clock_->set(when);
    if (!was_set) {
        return was_set.error();
    }
    if (is_new || *was_set) {
        // The rules were made by a clock that nobody watched, or that was set since.
        reconciler_->touch_after(Millis(0));
    }
    return {};
}

}  // namespace viscum
