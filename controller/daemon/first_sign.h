// SPDX-License-Identifier: GPL-2.0-only
// The instant from which a service did not serve any more, as far as viscumd can know: the end of its process, or the
// beginning of the first of the probes that failed in a row.
#pragma once

#include <optional>

#include "base/event_loop.h"

namespace viscum {

class FirstSign {
public:
    enum class Cause { exited, unhealthy };
    struct Sign {
        BootTime at{};
        Cause cause = Cause::exited;
        bool operator==(const Sign&) const = default;
    };

    /// A probe that was asked, and when it began.
    void answered(bool healthy, BootTime begun) {
        failing_since_ = healthy ? std::nullopt : failing_since_ ? failing_since_ : std::optional(begun);
    }
    /// It is judged unhealthy, or has ended. The first of both counts, until it is healthy again.
    void unhealthy(BootTime now) { note(Cause::unhealthy, now); }
    void exited(BootTime now) {
        note(Cause::exited, now);
        failing_since_.reset();
    }
    void healthy() { sign_.reset(); }
    [[nodiscard]] const std::optional<Sign>& sign() const { return sign_; }

private:
    void note(Cause cause, BootTime now) {
        if (!sign_) {
            sign_ = Sign{failing_since_.value_or(now), cause};
        }
    }

    std::optional<BootTime> failing_since_;
    std::optional<Sign> sign_;
};

}  // namespace viscum
