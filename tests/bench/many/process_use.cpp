// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/many/process_use.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kProcFile = 64 * 1024;

/// The number behind "KEY:" and blanks in a file of /proc.
Result<std::uint64_t> number_behind(const std::string& path, const std::string& key) {
    const auto text = read_file(path, kProcFile);
    if (!text) {
        return text.error();
    }
    for (const std::string& line : split(*text, '\n')) {
        if (!line.starts_with(key + ":")) {
            continue;
        }
        std::uint64_t value = 0;
        const char* end = line.data() + line.size();
        const char* at = std::find_if(line.data() + key.size(), end, [](char c) { return c >= '0' && c <= '9'; });
        if (std::from_chars(at, end, value).ec == std::errc()) {
            return value;
        }
    }
    return Error{EPROTO, cat(path, " has no ", key)};
}

Result<CpuUse> cpu_of_thread(const std::string& directory) {
    const auto schedstat = read_file(directory + "/schedstat", kProcFile);
    if (!schedstat) {
        return schedstat.error();
    }
    CpuUse use;
    if (std::from_chars(schedstat->data(), schedstat->data() + schedstat->size(), use.nanoseconds).ec != std::errc()) {
        return Error{EPROTO, cat(directory, "/schedstat cannot be read")};
    }
    const auto voluntary = number_behind(directory + "/status", "voluntary_ctxt_switches");
    const auto preempted = number_behind(directory + "/status", "nonvoluntary_ctxt_switches");
    if (!voluntary || !preempted) {
        return voluntary ? preempted.error() : voluntary.error();
    }
    use.wakeups = *voluntary;
    use.preempted = *preempted;
    return use;
}

}  // namespace

std::vector<pid_t> processes_named(const std::string& name) {
    std::vector<pid_t> found;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator("/proc", gone)) {
        const auto pid = parse_decimal(entry.path().filename().string(), 1 << 30);
        const auto comm = pid ? read_file(entry.path().string() + "/comm", kProcFile) : Result<std::string>("");
        if (pid && comm && *comm == name + "\n") {
            found.push_back(static_cast<pid_t>(*pid));
        }
    }
    std::ranges::sort(found);
    return found;
}

Result<MemoryUse> memory_of(pid_t pid) {
    const std::string file = cat("/proc/", pid, "/smaps_rollup");
    const auto rss = number_behind(file, "Rss");
    const auto pss = number_behind(file, "Pss");
    if (!rss || !pss) {
        return rss ? pss.error() : rss.error();
    }
    constexpr std::uint64_t kKiB = 1024;
    return MemoryUse{*rss * kKiB, *pss * kKiB};
}

CpuUse& CpuUse::operator+=(const CpuUse& other) {
    nanoseconds += other.nanoseconds;
    wakeups += other.wakeups;
    preempted += other.preempted;
    return *this;
}

CpuUse CpuUse::operator-(const CpuUse& before) const {
    return {nanoseconds - before.nanoseconds, wakeups - before.wakeups, preempted - before.preempted};
}

Result<CpuUse> cpu_of(pid_t pid) {
    CpuUse sum;
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(cat("/proc/", pid, "/task"), failure)) {
        const auto use = cpu_of_thread(entry.path().string());
        if (!use) {
            return use.error();
        }
        sum += *use;
    }
    return failure ? Result<CpuUse>(errno_error(cat("cannot look at process ", pid), failure.value()))
                   : Result<CpuUse>(sum);
}

}  // namespace viscum
