// SPDX-License-Identifier: GPL-2.0-only
#include "tests/demo/timeline.h"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/event_loop.h"
#include "base/text.h"

namespace viscum {
namespace {

/// `value` with `decimals` digits behind the point.
std::string fixed(double value, int decimals) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    return text.data();
}

std::string scaled(double value, const std::array<const char*, 4>& units) {
    std::size_t unit = 0;
    while (value >= 1000 && unit + 1 < units.size()) {
        value /= 1000;
        ++unit;
    }
    return cat(fixed(value, value < 10 && unit > 0 ? 1 : 0), " ", units[unit]);
}

}  // namespace

Timeline::Timeline() : start_(boot_now()), colour_(isatty(STDOUT_FILENO) == 1) {}

void Timeline::chapter(const std::string& title) const {
    std::printf("\n%s%s%s\n", colour_ ? "\033[1m" : "", title.c_str(), colour_ ? "\033[0m" : "");
    std::fflush(stdout);
}

void Timeline::line(const std::string& what, const std::string& measured, bool ok) {
    const double seconds = std::chrono::duration<double>(boot_now() - start_).count();
    const char* const verdict = ok ? "ok" : "FAIL";
    const char* const colour = !colour_ ? "" : ok ? "\033[32m" : "\033[1;31m";
    std::printf("%7.2f s  %-66s %-26s %s%s%s\n", seconds, what.c_str(), measured.c_str(), colour, verdict,
                colour_ ? "\033[0m" : "");
    std::fflush(stdout);
    failures_ += ok ? 0 : 1;
}

void Timeline::note(const std::string& text) const {
    for (const std::string& line : split(text, '\n')) {
        if (!line.empty()) {
            std::printf("           %s\n", line.c_str());
        }
    }
    std::fflush(stdout);
}

std::string duration_text(std::chrono::nanoseconds duration) {
    const double ms = std::chrono::duration<double, std::milli>(duration).count();
    return ms >= 1000 ? cat(fixed(ms / 1000, 2), " s") : cat(fixed(ms, ms < 10 ? 1 : 0), " ms");
}

std::string rate_text(double bits_per_second) {
    return scaled(bits_per_second, {"bit/s", "kbit/s", "Mbit/s", "Gbit/s"});
}

std::string bytes_text(std::uint64_t bytes) {
    return scaled(static_cast<double>(bytes), {"B", "kB", "MB", "GB"});
}

}  // namespace viscum
