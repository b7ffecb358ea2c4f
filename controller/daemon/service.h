// SPDX-License-Identifier: GPL-2.0-only
// One service as the daemon keeps it: its version, the version that is to follow, and the one that finishes.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "controller/daemon/run.h"
#include "controller/ipc/frame.h"
#include "controller/plan/admission.h"

namespace viscum {

/// A version that has yet to show that it is healthy. It becomes the service's version then, and goes away otherwise.
struct Candidate {
    ServiceSpec spec;
    std::string text;
    std::optional<Image> image;     // of `run.image`, as the store had it when it was asked for
    std::uint64_t client = 0;       // who waits for it; 0: nobody
    std::uint64_t deploy = 0;       // who asked for it, and perhaps for others at once; 0: nobody
    BootTime asked{};               // when
    BootTime begun{};               // when its run began: it may have had to wait for a slot
    std::optional<Millis> wait;     // for how long; nullopt: for ever, as its file stands in services/
    std::optional<Millis> confirm;  // for how long it is on trial once it is healthy
    bool comes_back = false;        // it was the version before one that was not confirmed
    EventLoop::TimerId timer = 0;   // at the end of the wait
    std::optional<int> slot;        // of its run; nullopt: it waits for a slot to become free
    bool told = false;              // that it waits for a slot
    std::string told_why;           // what was last said to keep it from being healthy
    EventLoop::TimerId look = 0;    // when that is looked at again
    bool restart = false;           // the same version once more
    std::string key;                // with which it was asked for; empty: root in person, or nobody
};

struct Service {
    std::string name;
    std::array<std::unique_ptr<Run>, 2> runs;
    int primary = 0;  // the slot that is to get new flows
    std::optional<Candidate> candidate;
    bool committed = false;     // its file is in services/
    bool removed = false;       // it goes as soon as its runs are gone
    std::uint64_t remover = 0;  // the client that waits for that
    bool keep_log = false;      // it never got healthy: its log is all there is to see
    bool drained = false;
    std::uint64_t deploy = 0;  // which one began its trial; 0: one that an earlier viscumd knew, or none
    std::uint32_t number = 0;  // its own among the instance's services

    [[nodiscard]] Run* run(int slot) const { return runs[static_cast<std::size_t>(slot)].get(); }
    [[nodiscard]] Run* current() const { return run(primary); }
    /// Whether this very version runs, or is on its way.
    [[nodiscard]] bool is_deployed(const std::string& text, const std::optional<Image>& image) const {
        const Run* run = current();
        return !removed && run != nullptr && !run->stopping() && run->state() != RunState::failed &&
               run->text() == text && run->image_digest() == (image ? image->digest : "");
    }
    [[nodiscard]] bool has_runs() const { return runs[0] || runs[1]; }
    /// Why what it leaves cannot be removed, where that lasts; empty: nothing is in the way.
    [[nodiscard]] std::string stuck() const {
        const auto stuck = std::ranges::find_if(runs, [](const auto& run) { return run && !run->stuck().empty(); });
        return stuck != runs.end() ? (*stuck)->stuck() : "";
    }
    [[nodiscard]] std::optional<int> free_slot() const {
        return !runs[0] ? std::optional(0) : !runs[1] ? std::optional(1) : std::nullopt;
    }
    [[nodiscard]] ServiceView view() const {
        ServiceView out;
        out.name = name;
        out.primary = primary;
        out.drained = drained;
        out.now = wall_now();
        for (std::size_t slot = 0; slot < runs.size(); ++slot) {
            if (runs[slot]) {
                out.runs[slot] = runs[slot]->view();
            }
        }
        return out;
    }
};

}  // namespace viscum
