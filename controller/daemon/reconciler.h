// SPDX-License-Identifier: GPL-2.0-only
// Keeps what is wanted equal to what is: one level-triggered pass at the end of a turn in which something changed.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "controller/daemon/services.h"
#include "controller/plan/plan.h"
#include "controller/world/world.h"

namespace viscum {

class Reconciler {
public:
    Reconciler(EventLoop& loop, World& world, Services& services) : loop_(loop), world_(world), services_(services) {}

    /// Calls `hook` for each step that was done.
    void on_done(std::function<void(const Step&)> hook) { done_ = std::move(hook); }
    /// Something changed: a pass follows at the end of this turn.
    void touch() { dirty_ = true; }
    /// The same in a while, for news that come in swarms and for what failed. The earlier of two such calls counts.
    void touch_after(Millis delay);
    [[nodiscard]] bool is_due() const { return dirty_; }
    /// A pass, if one is due; returns whether there was one.
    bool turn();
    /// Whether a pass is still to come for what is wanted already. Without seeing there is none to wait for.
    [[nodiscard]] bool behind() const { return (dirty_ || unfinished_) && blind_turns_ <= kBlindTurns; }

    /// What is wanted now. Pure but for what the world says of links.
    [[nodiscard]] Wanted wanted() const;
    /// What is, processes included.
    Result<Actual> actual();

private:
    void blind(const Error& error);
    void execute(const std::vector<Step>& plan, const Wanted& wanted);
    Status execute_one(const Step& step, const Wanted& wanted);
    void drop_dismantled();
    [[nodiscard]] Run* run_of(const BackendKey& key) const;
    /// Whether a deploy waits for it.
    [[nodiscard]] bool is_deployed(const BackendKey& key) const;
    void report(const Step& step, const Error& error);
    void tell_of_lan();

    EventLoop& loop_;
    World& world_;
    Services& services_;
    std::function<void(const Step&)> done_ = [](const Step&) {};
    bool dirty_ = true;
    static constexpr int kBlindTurns = 3;
    int blind_turns_ = 0;      // in a row
    bool unfinished_ = false;  // the last pass left steps to the next
    EventLoop::TimerId timer_ = 0;
    BootTime timer_due_{};
    std::vector<Step> last_plan_;  // that was not empty
    BootTime last_plan_at_{};
    std::map<BackendKey, BootTime> resting_;   // backends with a step that failed, until they are tried again
    std::string rules_problem_;                // why the kernel's rules are not as wanted; empty: they are
    std::set<std::string> reported_;           // failures that were logged and did not go away since
    std::map<std::string, std::string> told_;  // LAN device that is served -> what was last said to be wrong with it
    std::set<std::string> tracked_;            // UDP claims whose older flows were looked for
};

}  // namespace viscum
