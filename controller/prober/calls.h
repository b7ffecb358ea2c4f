// SPDX-License-Identifier: GPL-2.0-only
// The system calls of filter.h, bare: a C library may make others of them (one socketcall for all on i386, epoll_wait).
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdint.h>
#include <time.h>

namespace viscum {

inline ssize_t receive(int fd, void* bytes, size_t size) {
    return syscall(SYS_recvfrom, fd, bytes, size, MSG_DONTWAIT, nullptr, nullptr);
}
inline ssize_t receive(int fd, msghdr* message) {
    return syscall(SYS_recvmsg, fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}
inline ssize_t transmit(int fd, const void* bytes, size_t size) {
    return syscall(SYS_sendto, fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0L);
}
inline void close_descriptor(int fd) {
    syscall(SYS_close, fd);
}
/// Milliseconds since boot.
inline uint64_t now_ms() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace viscum
