// SPDX-License-Identifier: GPL-2.0-only
// What the programs use of the kernel's headers and libbpf's, in both ways of compiling them: clang's own for BPF, and
// OpenWrt's (include/bpf.mk there), which has the kernel's innards in front of its headers for programs, where
// linux/bpf.h is another one.
#pragma once

#ifdef __KERNEL__
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/if_packet.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/ipv6.h>
#include <uapi/linux/pkt_cls.h>
#include <uapi/linux/tcp.h>
#else
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#endif

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

_Static_assert(sizeof(void*) == 8, "compiled for pointers of 32 bits: the verifier refuses what comes of that");
