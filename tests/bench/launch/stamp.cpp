// SPDX-License-Identifier: GPL-2.0-only
// What is launched: says on standard output when it came to run, in nanoseconds of CLOCK_BOOTTIME, and what it runs in:
// "stamp TIME PID FILTER NETWORK", and then its /proc/self/cgroup, where it can read that. FILTER is 2 under a filter
// of system calls, NETWORK the inode of the network namespace. Static, so that it runs in an empty root.
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int main() {
    struct timespec now {};
    clock_gettime(CLOCK_BOOTTIME, &now);
    struct stat network {};
    (void)stat("/proc/self/ns/net", &network);
    dprintf(1, "stamp %lld%09ld %d %d %lu\n", static_cast<long long>(now.tv_sec), now.tv_nsec, getpid(),
            prctl(PR_GET_SECCOMP), static_cast<unsigned long>(network.st_ino));
    char groups[4096];
    const int file = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? 0 : read(file, groups, sizeof groups);
    return length > 0 && write(1, groups, static_cast<size_t>(length)) < 0;
}
