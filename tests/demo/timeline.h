// SPDX-License-Identifier: GPL-2.0-only
// What the demonstration prints: one line for each thing that happened, with the time since the start, the
// measured result, and whether it was as expected.
#pragma once

#include <chrono>
#include <string>

namespace viscum {

class Timeline {
public:
    Timeline();

    void chapter(const std::string& title) const;
    /// `measured` is what was seen ("cloud, 0.6 ms"); false `ok` makes the whole run fail.
    void line(const std::string& what, const std::string& measured, bool ok);
    /// Text that belongs to the line before, indented.
    void note(const std::string& text) const;
    [[nodiscard]] int failures() const { return failures_; }

private:
    std::chrono::nanoseconds start_;
    bool colour_;
    int failures_ = 0;
};

/// "0.6 ms", "12 ms", "1.46 s".
std::string duration_text(std::chrono::nanoseconds duration);
/// "23.1 Gbit/s".
std::string rate_text(double bits_per_second);
/// "3.4 MB".
std::string bytes_text(std::uint64_t bytes);

}  // namespace viscum
