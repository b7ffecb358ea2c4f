// SPDX-License-Identifier: GPL-2.0-only
#include "base/instance.h"

#include "base/text.h"

namespace viscum {

Result<Instance> Instance::parse(const std::string& name) {
    constexpr std::size_t kMaxName = 16;
    bool fine = !name.empty() && name.size() <= kMaxName && name[0] >= 'a' && name[0] <= 'z';
    for (const char c : name) {
        fine = fine && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
    }
    if (!fine) {
        return Error{
            EINVAL, cat("'", name, "' is no instance name: a small letter, then small letters and digits, at most 16")};
    }
    return Instance{name};
}

}  // namespace viscum
