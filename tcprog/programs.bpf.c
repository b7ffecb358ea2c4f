// SPDX-License-Identifier: GPL-2.0-only
// The object that viscumd carries: the programs over one set of maps.
#include "tcprog/lan.bpf.h"
#include "tcprog/return.bpf.h"
#include "tcprog/service.bpf.h"

char vs_license[] SEC("license") = "GPL";
