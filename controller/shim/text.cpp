// SPDX-License-Identifier: GPL-2.0-only
#include "controller/shim/text.h"

#include <errno.h>
#include <time.h>

namespace viscum {
namespace {

/// The reasons that operators meet; strerror would bring in locales.
const char* describe(int code) {
    switch (code) {
        case EPERM: return "Operation not permitted";
        case ENOENT: return "No such file or directory";
        case EIO: return "Input/output error";
        case E2BIG: return "Argument list too long";
        case ENOEXEC: return "Exec format error";
        case EAGAIN: return "Resource temporarily unavailable";
        case ENOMEM: return "Cannot allocate memory";
        case EACCES: return "Permission denied";
        case EBUSY: return "Device or resource busy";
        case ENOTDIR: return "Not a directory";
        case EISDIR: return "Is a directory";
        case EINVAL: return "Invalid argument";
        case ENFILE: return "Too many open files in system";
        case EMFILE: return "Too many open files";
        case ETXTBSY: return "Text file busy";
        case EFBIG: return "File too large";
        case ENODEV: return "No such device";
        case ENOSYS: return "Function not implemented";
        case EXDEV: return "Invalid cross-device link";
        case EEXIST: return "File exists";
        case ESRCH: return "No such process";
        case ENOSPC: return "No space left on device";
        case EROFS: return "Read-only file system";
        case ENAMETOOLONG: return "File name too long";
        case ELOOP: return "Too many levels of symbolic links";
        case ELIBBAD: return "Accessing a corrupted shared library";
        default: return nullptr;
    }
}

}  // namespace

Text& Text::put(const char* text) {
    while (*text != '\0' && length < sizeof bytes) {
        bytes[length++] = *text++;
    }
    return *this;
}

Text& Text::put(uint64_t number, int width) {
    char digits[20];
    int count = 0;
    for (; number != 0 || count < width; number /= 10) {
        digits[count++] = static_cast<char>('0' + number % 10);
    }
    while (count > 0 && length < sizeof bytes) {
        bytes[length++] = digits[--count];
    }
    return *this;
}

Text& Text::put_failure(const char* what, const char* name, int code) {
    put(what).put(" '").put(name).put("': ");
    const char* reason = describe(code);
    return reason != nullptr ? put(reason) : put("error ").put(static_cast<uint64_t>(code));
}

// Howard Hinnant's civil_from_days, for years after 1970; gmtime would bring in time zones.
Text& Text::put_time() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const auto seconds = static_cast<uint64_t>(now.tv_sec);
    const uint64_t days = seconds / 86400 + 719468;  // since 0000-03-01
    const uint64_t of_era = days % 146097;
    const uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const uint64_t month = (5 * of_year + 2) / 153;  // from March
    put(days / 146097 * 400 + year + (month >= 10 ? 1 : 0), 4).put("-");
    put(month < 10 ? month + 3 : month - 9, 2).put("-").put(of_year - (153 * month + 2) / 5 + 1, 2).put("T");
    put(seconds / 3600 % 24, 2).put(":").put(seconds / 60 % 60, 2).put(":").put(seconds % 60, 2).put(".");
    put(static_cast<uint64_t>(now.tv_nsec) / 1'000'000, 3).put("Z ");
    return *this;
}

uint64_t parse_number(const char* text) {
    uint64_t number = 0;
    for (; *text >= '0' && *text <= '9'; ++text) {
        number = number * 10 + static_cast<uint64_t>(*text - '0');
    }
    return number;
}

}  // namespace viscum
