// SPDX-License-Identifier: GPL-2.0-only
// What viscumd has in the file system for itself is put back where another tool removes it, within 1 s.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

class Keeper {
public:
    struct Thing {
        std::string name;                       // "the control socket"
        std::string directory;                  // that it lies in
        std::function<Result<bool>()> restore;  // true: it was gone and is back
    };
    /// Looks at everything whenever something goes from one of the directories. Each thing that is put back is told of
    /// once, so that a tool which goes on removing it does not fill the log.
    static Result<std::unique_ptr<Keeper>> open(EventLoop& loop, std::vector<Thing> things);
    ~Keeper();
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    /// Restores what is missing now.
    void look();

private:
    Keeper(EventLoop& loop, std::vector<Thing> things, UniqueFd news)
        : loop_(loop), things_(std::move(things)), news_(std::move(news)) {}
    void watch_directories();
    void look_after(Millis delay);
    void on_news();

    EventLoop& loop_;
    std::vector<Thing> things_;
    UniqueFd news_;
    EventLoop::TimerId timer_ = 0;
    std::set<std::string> told_;
};

}  // namespace viscum
