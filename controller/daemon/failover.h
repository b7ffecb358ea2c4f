// SPDX-License-Identifier: GPL-2.0-only
// How long it took until new flows went to the cloud, and how often they had to: counted where viscumd sees both ends,
// the first sign and the rules that stand. Pure, but for the walk over the services.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "controller/daemon/services.h"
#include "controller/ipc/report.h"

namespace viscum {

/// What became of one service's new flows, since viscumd started.
class FailoverHistory {
public:
    /// Why new flows are not to be served here, whatever the service is able to.
    struct Withdrawn {
        bool drained = false;  // by the operator
        bool ended = false;    // all that it claims (`until`)
    };
    /// After each pass over the kernel: whether new flows are served here by its rules. `sign` is what the service
    /// showed first, if it did.
    void rules_stand(bool served, const std::optional<FirstSign::Sign>& sign, Withdrawn withdrawn, BootTime now);
    void report(ServiceReport& out, BootTime now) const;
    /// As the last pass left it; nullopt: there was none.
    [[nodiscard]] std::optional<bool> served() const { return served_; }

private:
    void give_back(const std::optional<FirstSign::Sign>& sign, Withdrawn withdrawn, BootTime now);

    std::array<std::uint64_t, kFailoverBounds.size()> within_{};  // each those that took no longer; not cumulative
    std::uint64_t count_ = 0;
    std::chrono::microseconds sum_{0};
    std::chrono::microseconds last_{-1};
    std::array<std::uint64_t, kGivenBackCauses.size()> given_back_{};
    std::size_t last_cause_ = 0;
    BootTime last_at_{};  // zero: never
    std::optional<bool> served_;
};

class Failovers {
public:
    /// After each pass; services that are gone are forgotten.
    void rules_stand(const Services& services, BootTime now);
    void report(ServiceReport& out, BootTime now) const;
    [[nodiscard]] bool serves(const std::string& service) const;

private:
    std::map<std::string, FailoverHistory> histories_;
};

}  // namespace viscum
