// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/soak/growth.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/support/process_tree.h"

namespace viscum {
namespace {

constexpr std::size_t kFewest = 6;
constexpr std::uint64_t kMemorySlack = 1024;  // KiB: what an allocator keeps is no leak
constexpr std::uint64_t kOtherSlack = 4;
constexpr std::uint64_t kLogSlack = 1024 * 1024;  // bytes: they are bounded elsewhere

std::uint64_t slack(const std::string& name) {
    if (name.ends_with("KiB")) {
        return kMemorySlack;
    }
    return name.ends_with("bytes") ? kLogSlack : kOtherSlack;
}

std::uint64_t median(std::vector<std::uint64_t> values) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[values.size() / 2];
}

/// "Rss:    123 kB" of smaps_rollup; 0 where the process is gone.
std::uint64_t kib_of(const std::string& text, const std::string& key) {
    const std::size_t at = text.find(cat("\n", key, ":"));
    if (at == std::string::npos) {
        return 0;
    }
    const std::size_t from = text.find_first_of("0123456789", at);
    return parse_decimal(text.substr(from, text.find(' ', from) - from), UINT64_MAX).value_or(0);
}

void add_process(const std::string& program, int pid, Sample& sample) {
    const auto memory = read_file(cat("/proc/", pid, "/smaps_rollup"), 65'536);
    const auto descriptors = list_directory(cat("/proc/", pid, "/fd"));
    if (!memory || !descriptors) {
        return;
    }
    sample[program + ": RSS in KiB"] += kib_of(*memory, "Rss");
    // Not PSS: that grows whenever another viscumd on the machine, of another test, ends and shares no more.
    sample[program + ": memory of its own in KiB"] += kib_of(*memory, "Anonymous") + kib_of(*memory, "Swap");
    sample[program + ": descriptors"] += descriptors->size();
}

std::uint64_t entries_below(const std::string& directory, bool sizes) {
    std::uint64_t sum = 0;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        std::error_code ignored;
        const auto size = sizes && it->is_regular_file(ignored) ? it->file_size(ignored) : 0;
        sum += sizes ? (ignored ? 0 : size) : 1;
    }
    return sum;
}

}  // namespace

std::vector<Trend> trends(const std::vector<Sample>& samples) {
    std::vector<Trend> found;
    if (samples.size() < kFewest) {
        return found;
    }
    const std::vector<Sample> warm(samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 6), samples.end());
    for (const auto& [name, ignored] : warm.front()) {
        std::vector<std::uint64_t> values;
        for (const Sample& sample : warm) {
            if (const auto value = sample.find(name); value != sample.end()) {
                values.push_back(value->second);
            }
        }
        const auto third = static_cast<std::ptrdiff_t>(values.size() / 3);
        if (third > 0) {
            found.push_back(
                {name, median({values.begin(), values.begin() + third}), median({values.end() - third, values.end()})});
        }
    }
    return found;
}

std::vector<std::string> judge_growth(const std::vector<Trend>& trends, const std::vector<std::string>& wanted) {
    std::vector<std::string> problems;
    for (const std::string& name : wanted) {
        if (std::ranges::find(trends, name, &Trend::name) == trends.end()) {
            problems.push_back(cat("there is no trend of ", name));
        }
    }
    for (const Trend& trend : trends) {
        if (trend.late > trend.early + trend.early / 4 + slack(trend.name)) {
            problems.push_back(cat(trend.name, " grows from ", trend.early, " to ", trend.late));
        }
    }
    return problems;
}

Sample take_sample(int viscumd) {
    Sample sample;
    add_process("viscumd", viscumd, sample);
    for (const pid_t pid : descendants(1)) {
        const auto name = read_file(cat("/proc/", pid, "/comm"), 64);
        for (const char* program : {"viscum-shim", "viscum-prober"}) {
            if (name && *name == cat(program, "\n")) {
                add_process(program, pid, sample);
            }
        }
    }
    sample["pins"] = entries_below("/sys/fs/bpf", false);
    sample["log bytes"] = entries_below("/run/viscum/log", true);
    sample["entries of /run/viscum/runs"] = entries_below("/run/viscum/runs", false);
    sample["control groups"] = entries_below("/sys/fs/cgroup", false);
    return sample;
}

}  // namespace viscum
