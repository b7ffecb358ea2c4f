// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/numbers.h"

#include <set>

#include "base/text.h"
#include "controller/plan/aliases.h"

namespace viscum {
namespace {

constexpr std::uint32_t kUsable = kNumbers - 1;  // the last one is the prober's
constexpr uid_t kFirstUid = 0x70000000;
constexpr std::uint64_t kInstances = 65535;

}  // namespace

std::optional<std::uint32_t> number_of(const std::map<std::string, std::uint32_t>& taken, const std::string& name) {
    if (const auto found = taken.find(name); found != taken.end() && found->second < kUsable) {
        return found->second;
    }
    std::set<std::uint32_t> numbers;
    for (const auto& [other, number] : taken) {
        numbers.insert(number);
    }
    const auto first = static_cast<std::uint32_t>(fnv1a(name) % kUsable);
    for (std::uint32_t i = 0; i < kUsable; ++i) {
        const std::uint32_t number = (first + i) % kUsable;
        if (!numbers.contains(number)) {
            return number;
        }
    }
    return std::nullopt;
}

uid_t service_uid(const std::string& instance, std::uint32_t number) {
    return kFirstUid + static_cast<uid_t>(fnv1a(instance) % kInstances) * kNumbers + number;
}

bool is_service_uid(uid_t uid) {
    return uid >= kFirstUid && uid < kFirstUid + kInstances * kNumbers;
}

uid_t prober_uid(const std::string& instance) {
    return service_uid(instance, kUsable);
}

}  // namespace viscum
