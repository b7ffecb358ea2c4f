# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# The processors that can be built for, by the name that OpenWrt gives them. To be sourced:
#
#   target NAME   sets: debian (its architecture), triplet (of its compiler), musl (of its small C library), emulator
set -eu

targets=(aarch64_generic arm_cortex-a9_vfpv3-d16 mipsel_24kc_24kf x86_64 s390x)

target() {
    case $1 in
        aarch64_generic) debian=arm64 triplet=aarch64-linux-gnu musl=aarch64-linux-musl emulator=qemu-aarch64-static ;;
        # Debian's armhf: ARMv7-A, VFPv3-D16, Thumb-2. It runs on every ARMv7 router with a floating-point unit.
        arm_cortex-a9_vfpv3-d16)
            debian=armhf triplet=arm-linux-gnueabihf musl=arm-linux-musleabihf emulator=qemu-arm-static
            ;;
        # MIPS32r2 with hard floats, which a 24Kc without the unit leaves to the kernel's emulator, if that is built in.
        mipsel_24kc_24kf) debian=mipsel triplet=mipsel-linux-gnu musl=mipsel-linux-musl emulator=qemu-mipsel-static ;;
        x86_64) debian=amd64 triplet=x86_64-linux-gnu musl=x86_64-linux-musl emulator=qemu-x86_64-static ;;
        # OpenWrt has no such target: the other byte order.
        s390x) debian=s390x triplet=s390x-linux-gnu musl=s390x-linux-musl emulator=qemu-s390x-static ;;
        *)
            echo "there is no target '$1'; there are: ${targets[*]}" >&2
            return 2
            ;;
    esac
}
