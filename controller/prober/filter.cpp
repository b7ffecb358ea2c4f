// SPDX-License-Identifier: GPL-2.0-only
#include "controller/prober/filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

// Linux has no name for the ABI that a program is built for.
#if defined(__x86_64__) && !defined(__ILP32__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define NATIVE_ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__) && defined(__ARMEB__)
#define NATIVE_ARCH AUDIT_ARCH_ARMEB
#elif defined(__arm__)
#define NATIVE_ARCH AUDIT_ARCH_ARM
#elif defined(__mips__) && defined(__MIPSEB__) && _MIPS_SIM == _ABIO32
#define NATIVE_ARCH AUDIT_ARCH_MIPS
#elif defined(__mips__) && defined(__MIPSEL__) && _MIPS_SIM == _ABIO32
#define NATIVE_ARCH AUDIT_ARCH_MIPSEL
#elif defined(__mips__) && defined(__MIPSEB__) && _MIPS_SIM == _ABI64
#define NATIVE_ARCH AUDIT_ARCH_MIPS64
#elif defined(__mips__) && defined(__MIPSEL__) && _MIPS_SIM == _ABI64
#define NATIVE_ARCH AUDIT_ARCH_MIPSEL64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define NATIVE_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__powerpc__) && !defined(__powerpc64__)
#define NATIVE_ARCH AUDIT_ARCH_PPC
#elif defined(__s390x__)
#define NATIVE_ARCH AUDIT_ARCH_S390X
#elif defined(__loongarch64)
#define NATIVE_ARCH AUDIT_ARCH_LOONGARCH64
#else
#error "seccomp's name of this architecture is missing here"
#endif

// Headers older than the machine.
#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<__u32>(offset))
#define IF_NOT_SKIP(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<__u32>(value), 0, count)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW(number) IF_NOT_SKIP(number, 1), RETURN(SECCOMP_RET_ALLOW)

namespace viscum {
namespace {

// An argument has 64 bits: as both of its halves are to be zero, their order does not matter.
constexpr size_t argument(size_t number, size_t half) {
    return offsetof(seccomp_data, args) + number * sizeof(__u64) + half * sizeof(__u32);
}

constexpr sock_filter kFilter[] = {
    LOAD(offsetof(seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
    RETURN(SECCOMP_RET_KILL_PROCESS),
    LOAD(offsetof(seccomp_data, nr)),
    ALLOW(SYS_recvmsg),
    ALLOW(SYS_recvfrom),
    ALLOW(SYS_epoll_pwait),
    ALLOW(SYS_epoll_ctl),
    ALLOW(SYS_close),
#ifdef SYS_clock_gettime
    ALLOW(SYS_clock_gettime),
#endif
#ifdef SYS_clock_gettime32  // as musl calls the old one
    ALLOW(SYS_clock_gettime32),
#endif
#ifdef SYS_clock_gettime64
    ALLOW(SYS_clock_gettime64),
#endif
    ALLOW(SYS_exit_group),
    IF_NOT_SKIP(SYS_sendto, 9),
    LOAD(argument(4, 0)),
    IF_NOT_SKIP(0, 7),
    LOAD(argument(4, 1)),
    IF_NOT_SKIP(0, 5),
    LOAD(argument(5, 0)),
    IF_NOT_SKIP(0, 3),
    LOAD(argument(5, 1)),
    IF_NOT_SKIP(0, 1),
    RETURN(SECCOMP_RET_ALLOW),
    RETURN(SECCOMP_RET_KILL_PROCESS),
};

}  // namespace

ProberFilter prober_filter() {
    return {kFilter, sizeof kFilter / sizeof kFilter[0]};
}

}  // namespace viscum
