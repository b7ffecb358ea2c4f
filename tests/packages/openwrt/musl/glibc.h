// SPDX-License-Identifier: GPL-2.0-only
// What libstdc++'s headers, as Debian has configured them for glibc, ask for and musl's have not. In front of each
// source.
#pragma once

#include <pthread.h>

#define __GLIBC_PREREQ(major, minor) 0
#define __locale_t locale_t

// <ctype.h>'s kinds of letters.
#define _ISupper 0x001
#define _ISlower 0x002
#define _ISalpha 0x004
#define _ISdigit 0x008
#define _ISxdigit 0x010
#define _ISspace 0x020
#define _ISprint 0x040
#define _IScntrl 0x080
#define _ISpunct 0x100
#define _ISblank 0x200
#define _ISalnum (_ISalpha | _ISdigit)
#define _ISgraph (_ISalnum | _ISpunct)

extern "C" {
int pthread_cond_clockwait(pthread_cond_t*, pthread_mutex_t*, clockid_t, const struct timespec*);
int pthread_mutex_clocklock(pthread_mutex_t*, clockid_t, const struct timespec*);
}
