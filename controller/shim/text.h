// SPDX-License-Identifier: GPL-2.0-only
// Text without stdio, allocation or locales.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace viscum {

/// A bounded text; what does not fit is cut.
struct Text {
    char bytes[512];
    size_t length = 0;

    Text& put(const char* text);
    /// At least `width` digits.
    Text& put(uint64_t number, int width = 1);
    /// "WHAT 'NAME': REASON" of an errno.
    Text& put_failure(const char* what, const char* name, int code);
    /// "2026-11-21T17:44:11.123Z ": now, in UTC.
    Text& put_time();
};

/// Decimal digits up to anything else.
uint64_t parse_number(const char* text);

}  // namespace viscum
