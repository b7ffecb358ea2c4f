// SPDX-License-Identifier: GPL-2.0-only
// What the disk says of a version on trial, and what an operation on it may come to.
#pragma once

#include <optional>
#include <string>

#include "base/instance.h"
#include "tests/faults/oracle/oracle.h"

namespace viscum {

struct TrialFacts {
    enum class Trial : std::uint8_t { none, on, ends_soon };
    std::string file;  // of the service; empty: there is none
    std::string kept;  // all that lies in before/: the version before, or names that nobody needs
    Trial trial = Trial::none;
    bool operator==(const TrialFacts&) const = default;

    /// A version is told by its last line.
    [[nodiscard]] std::string text() const;
};

TrialFacts trial_facts(const Instance& instance, const DiskState& disk, const std::string& service);

/// What the operation of this name leads to when it is carried out; nullopt: it has nothing to do with trials.
/// `deployed`: the file that it deploys.
std::optional<TrialFacts> trial_after(const std::string& operation, const TrialFacts& before,
                                      const std::string& deployed);

}  // namespace viscum
