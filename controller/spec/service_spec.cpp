// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/service_spec.h"

#include <array>

#include "base/text.h"

namespace viscum {
namespace {

std::string text_of(const IpPrefix& prefix, const PortRange& ports, Protocol protocol) {
    const bool brackets = !prefix.address.is_v4();
    return cat(brackets ? "[" : "", prefix.text(), brackets ? "]:" : ":", ports.text(),
               protocol == Protocol::tcp ? "/tcp" : "/udp");
}

}  // namespace

std::string PortRange::text() const {
    if (*this == PortRange{}) {
        return "any";
    }
    return is_single() ? std::to_string(first) : cat(first, '-', last);
}

std::string Claim::text() const {
    return text_of(prefix, ports, protocol);
}

std::string EgressTarget::text() const {
    return text_of(prefix, ports, protocol);
}

std::string EgressSpec::text() const {
    std::vector<std::string> parts;
    if (internet) {
        parts.emplace_back("internet");
    }
    if (origin) {
        parts.emplace_back("origin");
    }
    for (const auto& target : targets) {
        parts.push_back(target.text());
    }
    return parts.empty() ? "none" : join(parts, ", ");
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array<char, 3> kUnits{'K', 'M', 'G'};
    std::string unit;
    for (const char next : kUnits) {
        if (bytes == 0 || bytes % 1024 != 0) {
            break;
        }
        bytes /= 1024;
        unit = next;
    }
    return cat(bytes, unit);
}

std::vector<LimitsSpec::Text> LimitsSpec::texts() const {
    std::vector<Text> out;
    const auto add = [&](const std::string& name, const auto& limit, const std::string& value) {
        out.push_back({name, cat(name, ' ', limit.any() ? value : "none")});
    };
    add("memory", memory, memory.value == 0 ? "half of the machine's" : size_text(memory.value));
    if (cpu.any()) {
        add("cpu", cpu, cat(cpu.value, '%'));
    }
    add("pids", pids, std::to_string(pids.value));
    add("open_files", open_files, std::to_string(open_files.value));
    out.push_back({"tmp", cat("tmp ", size_text(tmp))});
    return out;
}

}  // namespace viscum
