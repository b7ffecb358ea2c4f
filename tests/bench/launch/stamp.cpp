// SPDX-License-Identifier: GPL-2.0-only
// What is launched: says on standard output when it came to run, in nanoseconds of CLOCK_BOOTTIME, and ends.
#include <time.h>
#include <unistd.h>

#include <stdint.h>

int main() {
    struct timespec now {};
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t value = static_cast<uint64_t>(now.tv_sec) * 1000000000U + static_cast<uint64_t>(now.tv_nsec);
    char text[24];
    char* at = text + sizeof text;
    *--at = '\n';
    do {
        *--at = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return write(1, at, static_cast<size_t>(text + sizeof text - at)) < 0;
}
