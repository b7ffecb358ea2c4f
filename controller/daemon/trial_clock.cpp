// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/trial_clock.h"

#include "base/file.h"

namespace viscum {
namespace {

constexpr std::size_t kBootIdLimit = 64;

}  // namespace

const std::string& boot_id() {
    static const std::string id = [] {
        const auto text = read_file("/proc/sys/kernel/random/boot_id", kBootIdLimit);
        return text ? text->substr(0, text->find('\n')) : std::string("unknown");
    }();
    return id;
}

std::uint64_t end_after(Millis time) {
    return static_cast<std::uint64_t>(std::chrono::ceil<Millis>(boot_now() + time).count());
}

bool is_over(const VersionTrial& trial) {
    return trial.until_ms != 0 && (trial.boot != boot_id() || until(trial) <= boot_now());
}

}  // namespace viscum
