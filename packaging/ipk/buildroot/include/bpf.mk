# SPDX-License-Identifier: GPL-2.0-only
# What the feed's Makefile uses of OpenWrt's include/bpf.mk, in its commands: the programs for the kernel are translated
# as for a MIPS, with the kernel's own headers in front of those for programs, and the outcome to BPF. To be given:
#
#   BPF_HEADERS_DIR   what OpenWrt's package bpf-headers installs
#   CONFIG_BIG_ENDIAN for such a router
#   LLVM_VER          of the tools, as "-16"; else those without a number
BPF_DEPENDS:=@HAS_BPF_TOOLCHAIN
BPF_ARCH:=mips$(if $(CONFIG_BIG_ENDIAN),,el)
BPF_TARGET:=bpf$(if $(CONFIG_BIG_ENDIAN),eb,el)
CLANG:=clang$(LLVM_VER)
LLVM_STRIP:=llvm-strip$(LLVM_VER)

bpf_compiler:=mipsel-linux-gnu
bpf_arch:=$(BPF_HEADERS_DIR)/arch/mips/include
bpf_include=-nostdinc -isystem $(dir $(shell $(bpf_compiler)-gcc -print-file-name=include/stddef.h)) \
	-isystem /usr/$(bpf_compiler)/include \
	$(addprefix -I,$(bpf_arch) $(bpf_arch)/asm/mach-generic $(bpf_arch)/generated $(BPF_HEADERS_DIR)/include \
	$(bpf_arch)/uapi $(bpf_arch)/generated/uapi $(BPF_HEADERS_DIR)/include/uapi $(BPF_HEADERS_DIR)/include/generated/uapi \
	$(BPF_HEADERS_DIR)/tools/lib $(BPF_HEADERS_DIR)/tools/testing/selftests $(BPF_HEADERS_DIR)/samples/bpf) \
	-include linux/kconfig.h -include asm_goto_workaround.h
bpf_flags=$(bpf_include) -I$(PKG_BUILD_DIR) -D__KERNEL__ -D__BPF_TRACING__ -DCONFIG_GENERIC_CSUM -D__TARGET_ARCH_mips \
	-m$(if $(CONFIG_BIG_ENDIAN),big,little)-endian -fno-stack-protector -fno-asynchronous-unwind-tables \
	-O2 -emit-llvm -Xclang -disable-llvm-passes

# CompileBPF SOURCE [OPTIONS]
define CompileBPF
	$(CLANG) -g -target $(BPF_ARCH)-linux-gnu $(bpf_flags) $(2) -c $(1) -o $(1:.c=.bc)
	opt$(LLVM_VER) -O2 -mtriple=$(BPF_TARGET) < $(1:.c=.bc) > $(1:.c=.opt)
	llvm-dis$(LLVM_VER) < $(1:.c=.opt) > $(1:.c=.S)
	llc$(LLVM_VER) -march=$(BPF_TARGET) -mcpu=v3 -filetype=obj -o $(1:.c=.o) < $(1:.c=.S)
	$(LLVM_STRIP) --strip-debug $(1:.c=.o)
endef
