// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/keeper.h"

#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

namespace viscum {
namespace {

// Removals come in swarms, and a tool that repeats them sets the pace.
constexpr Millis kNewsDelay{100};
constexpr Millis kRetry{1'000};

}  // namespace

Result<std::unique_ptr<Keeper>> Keeper::open(EventLoop& loop, std::vector<Thing> things) {
    UniqueFd news(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!news) {
        return errno_error("cannot watch directories");
    }
    std::unique_ptr<Keeper> keeper(new Keeper(loop, std::move(things), std::move(news)));
    Keeper* self = keeper.get();
    if (auto status =
            loop.watch(self->news_.get(), Order::netlink, EPOLLIN, [self](std::uint32_t) { self->on_news(); });
        !status) {
        return std::move(status).error();
    }
    keeper->watch_directories();
    return keeper;
}

Keeper::~Keeper() {
    loop_.cancel(timer_);
    loop_.unwatch(news_.get());
}

/// A directory that was removed and made again needs a new watch. What cannot be watched is looked at all the same.
void Keeper::watch_directories() {
    for (const auto& thing : things_) {
        inotify_add_watch(news_.get(), thing.directory.c_str(),
                          IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_ONLYDIR);
    }
}

void Keeper::on_news() {
    char events[4096];
    while (read(news_.get(), events, sizeof events) > 0) {
    }
    look_after(kNewsDelay);
}

void Keeper::look_after(Millis delay) {
    if (timer_ == 0) {
        timer_ = loop_.after(delay, [this] {
            timer_ = 0;
            look();
        });
    }
}

void Keeper::look() {
    for (const auto& thing : things_) {
        const auto restored = thing.restore();
        std::string line;
        if (!restored) {
            line = cat("cannot put back ", thing.name, ": ", restored.error().what);
            look_after(kRetry);
        } else if (*restored) {
            line = cat("another tool removed ", thing.name, "; put back");
        }
        if (!line.empty() && told_.insert(line).second) {
            log_warn(line);
        }
    }
    watch_directories();
}

}  // namespace viscum
