// SPDX-License-Identifier: GPL-2.0-only
// What is wrong with a file, collected while it is read. The reading order does not matter.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "controller/spec/parse.h"

namespace viscum {

/// A place in a file; both count from 1, columns in bytes.
struct Place {
    int line = 1;
    int column = 1;

    auto operator<=>(const Place&) const = default;
};

/// The first 20 mistakes of a file. What lies behind them is dropped, so that a hostile file costs no memory.
class Mistakes {
public:
    static constexpr std::size_t kMax = 20;

    /// The same mistake twice at one place counts once.
    void add(Place place, std::string what, std::string hint = {});
    /// Whether a mistake at `place` would be kept: ask before composing a costly hint.
    [[nodiscard]] bool wants(Place place) const;
    [[nodiscard]] bool empty() const { return found_.empty(); }
    /// In file order, as mistakes of `file`.
    [[nodiscard]] Diagnostics in(const std::string& file) &&;

private:
    Diagnostics found_;  // sorted by place
};

/// `text` for a message: bytes outside printable ASCII as \xNN, cut after `max` bytes.
std::string shown(std::string_view text, std::size_t max = 40);
/// The same in single quotes.
std::string quoted(std::string_view text);

}  // namespace viscum
