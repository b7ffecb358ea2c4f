// SPDX-License-Identifier: GPL-2.0-only
// A benchmark that cannot be set up ends at once, and says why.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/result.h"

namespace viscum {

[[noreturn]] inline void give_up(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::exit(1);
}

template <class T>
T must(Result<T> result) {
    if (!result) {
        give_up(result.error().what);
    }
    return *std::move(result);
}
inline void must(const Status& status) {
    if (!status) {
        give_up(status.error().what);
    }
}

}  // namespace viscum
