# SPDX-License-Identifier: GPL-2.0-only
# Nothing is compiled here: the programs for the kernel are in viscumd.
BPF_DEPENDS:=@HAS_BPF_TOOLCHAIN
