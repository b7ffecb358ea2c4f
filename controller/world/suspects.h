// SPDX-License-Identifier: GPL-2.0-only
// Which backends are to be looked at again: those that news spoke of, or all. A look at a few costs a request or two
// for each; a look at all costs one list, and is cheaper for many.
#pragma once

#include <cstddef>
#include <set>
#include <utility>

#include "controller/plan/state.h"

namespace viscum {

class Suspects {
public:
    static constexpr std::size_t kFew = 32;

    void add(const BackendKey& key) {
        if (!all_) {
            few_.insert(key);
            all_ = few_.size() > kFew;
        }
    }
    void add_all() { all_ = true; }
    void clear() {
        all_ = false;
        few_.clear();
    }
    [[nodiscard]] bool all() const { return all_; }
    /// Where not all() are.
    [[nodiscard]] const std::set<BackendKey>& few() const { return few_; }

private:
    bool all_ = true;  // nothing was seen yet
    std::set<BackendKey> few_;
};

}  // namespace viscum
