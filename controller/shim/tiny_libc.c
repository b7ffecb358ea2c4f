/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The part of the C library that the shim uses, on system calls alone, for x86-64 and glibc's headers. glibc's static
 * start-up code is 650 KB for any program, and would be most of the memory that a service costs; a small C library
 * (musl on OpenWrt) needs nothing of this. Structures are the kernel's as they are: true of 64-bit machines, where
 * glibc's stat, flock and timespec are the same. There is no thread-local storage: no stack protector, and one errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_SIGSET_SIZE 8 /* bytes; glibc's sigset_t is longer */

int main(int argc, char** argv);

char** environ;
static int error_code;

int* __errno_location(void) {
    return &error_code;
}

__asm__(
    ".globl _start\n"
    "_start:\n"
    "    xor %ebp, %ebp\n"
    "    mov %rsp, %rdi\n" /* argc, argv, NULL, envp, NULL (System V ABI, AMD64 supplement, 3.4.1) */
    "    and $-16, %rsp\n"
    "    call start\n"
    "    hlt\n");

__attribute__((noreturn, used)) void start(long* stack) {
    const long argc = stack[0];
    char** const argv = (char**)(stack + 1);
    environ = argv + argc + 1;
    _exit(main((int)argc, argv));
}

/* Linux: -4095 to -1 are errors. */
static long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result < 0 && result >= -4095) {
        error_code = (int)-result;
        return -1;
    }
    return result;
}

static long call3(long number, long a, long b, long c) {
    return call6(number, a, b, c, 0, 0, 0);
}

static long call4(long number, long a, long b, long c, long d) {
    return call6(number, a, b, c, d, 0, 0);
}

long syscall(long number, ...) {
    va_list args;
    va_start(args, number);
    const long a = va_arg(args, long);
    const long b = va_arg(args, long);
    const long c = va_arg(args, long);
    const long d = va_arg(args, long);
    va_end(args);
    return call4(number, a, b, c, d);
}

void _exit(int status) {
    for (;;) {
        call3(SYS_exit_group, status, 0, 0);
    }
}

int open(const char* path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const long mode = va_arg(args, int); /* only looked at with O_CREAT */
    va_end(args);
    return (int)call4(SYS_openat, AT_FDCWD, (long)path, flags, mode);
}

int openat(int dir, const char* path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const long mode = va_arg(args, int);
    va_end(args);
    return (int)call4(SYS_openat, dir, (long)path, flags, mode);
}

int fcntl(int fd, int command, ...) {
    va_list args;
    va_start(args, command);
    const long argument = va_arg(args, long);
    va_end(args);
    return (int)call3(SYS_fcntl, fd, command, argument);
}

int prctl(int option, ...) {
    va_list args;
    va_start(args, option);
    const long argument = va_arg(args, long);
    va_end(args);
    return (int)call3(SYS_prctl, option, argument, 0);
}

int close(int fd) {
    return (int)call3(SYS_close, fd, 0, 0);
}

ssize_t read(int fd, void* bytes, size_t count) {
    return call3(SYS_read, fd, (long)bytes, (long)count);
}

ssize_t write(int fd, const void* bytes, size_t count) {
    return call3(SYS_write, fd, (long)bytes, (long)count);
}

int dup2(int from, int to) {
    return (int)call3(SYS_dup2, from, to, 0);
}

int dup3(int from, int to, int flags) {
    return (int)call3(SYS_dup3, from, to, flags);
}

int pipe2(int ends[2], int flags) {
    return (int)call3(SYS_pipe2, (long)ends, flags, 0);
}

int poll(struct pollfd* fds, nfds_t count, int timeout) {
    return (int)call3(SYS_poll, (long)fds, (long)count, timeout);
}

int fstat(int fd, struct stat* info) {
    return (int)call3(SYS_fstat, fd, (long)info, 0);
}

int fchown(int fd, uid_t user, gid_t group) {
    return (int)call3(SYS_fchown, fd, user, group);
}

int fstatat(int dir, const char* path, struct stat* info, int flags) {
    return (int)call4(SYS_newfstatat, dir, (long)path, (long)info, flags);
}

int renameat(int old_dir, const char* old_path, int dir, const char* path) {
    return (int)call4(SYS_renameat, old_dir, (long)old_path, dir, (long)path);
}

int unlinkat(int dir, const char* path, int flags) {
    return (int)call3(SYS_unlinkat, dir, (long)path, flags);
}

int chdir(const char* path) {
    return (int)call3(SYS_chdir, (long)path, 0, 0);
}

mode_t umask(mode_t mask) {
    return (mode_t)call3(SYS_umask, mask, 0, 0);
}

int mount(const char* source, const char* target, const char* type, unsigned long flags, const void* data) {
    return (int)call6(SYS_mount, (long)source, (long)target, (long)type, (long)flags, (long)data, 0);
}

int clock_gettime(clockid_t clock, struct timespec* now) {
    return (int)call3(SYS_clock_gettime, clock, (long)now, 0);
}

int execve(const char* path, char* const argv[], char* const envp[]) {
    return (int)call3(SYS_execve, (long)path, (long)argv, (long)envp);
}

pid_t waitpid(pid_t pid, int* status, int options) {
    return (pid_t)call4(SYS_wait4, pid, (long)status, options, 0);
}

pid_t setsid(void) {
    return (pid_t)call3(SYS_setsid, 0, 0, 0);
}

int setgroups(size_t count, const gid_t* groups) {
    return (int)call3(SYS_setgroups, (long)count, (long)groups, 0);
}

int setresgid(gid_t real, gid_t effective, gid_t saved) {
    return (int)call3(SYS_setresgid, real, effective, saved);
}

int setresuid(uid_t real, uid_t effective, uid_t saved) {
    return (int)call3(SYS_setresuid, real, effective, saved);
}

int kill(pid_t pid, int number) {
    return (int)call3(SYS_kill, pid, number, 0);
}

int signalfd(int fd, const sigset_t* set, int flags) {
    return (int)call4(SYS_signalfd4, fd, (long)set, KERNEL_SIGSET_SIZE, flags);
}

int sigprocmask(int how, const sigset_t* set, sigset_t* old) {
    return (int)call4(SYS_rt_sigprocmask, how, (long)set, (long)old, KERNEL_SIGSET_SIZE);
}

/* Only for SIG_DFL and SIG_IGN: a handler would need a way back (SA_RESTORER). */
sighandler_t signal(int number, sighandler_t handler) {
    const struct {
        sighandler_t handler;
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } action = {handler, 0, NULL, 0};
    return call4(SYS_rt_sigaction, number, (long)&action, 0, KERNEL_SIGSET_SIZE) == 0 ? SIG_DFL : SIG_ERR;
}

int sigemptyset(sigset_t* set) {
    memset(set, 0, sizeof *set);
    return 0;
}

int sigfillset(sigset_t* set) {
    memset(set, 0xff, sizeof *set);
    return 0;
}

int sigaddset(sigset_t* set, int number) {
    unsigned long first = 0;
    memcpy(&first, set, sizeof first);
    first |= 1UL << (number - 1);
    memcpy(set, &first, sizeof first);
    return 0;
}

/* The compiler calls the first two on its own as well. */
void* memcpy(void* to, const void* from, size_t count) {
    void* const start_of_to = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return start_of_to;
}

void* memset(void* to, int byte, size_t count) {
    void* const start_of_to = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
    return start_of_to;
}

void* memchr(const void* bytes, int byte, size_t count) {
    const unsigned char* at = bytes;
    for (; count > 0; ++at, --count) {
        if (*at == (unsigned char)byte) {
            return (void*)at;
        }
    }
    return NULL;
}

size_t strlen(const char* text) {
    size_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    return length;
}

char* strrchr(const char* text, int byte) {
    for (size_t at = strlen(text) + 1; at > 0; --at) {
        if (text[at - 1] == (char)byte) {
            return (char*)text + at - 1;
        }
    }
    return NULL;
}
