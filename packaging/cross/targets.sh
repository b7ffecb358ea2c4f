# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# The processors that packages are built for, by the name that OpenWrt gives them. To be sourced:
#
#   target NAME   sets: debian (its architecture), triplet (of its compiler), musl (of its small C library), emulator
set -eu

targets=(x86_64 aarch64_generic arm_cortex-a7_neon-vfpv4 mipsel_24kc_24kf s390x)

target() {
    case $1 in
        x86_64) debian=amd64 triplet=x86_64-linux-gnu musl=x86_64-linux-musl emulator=qemu-x86_64-static ;;
        aarch64_generic) debian=arm64 triplet=aarch64-linux-gnu musl=aarch64-linux-musl emulator=qemu-aarch64-static ;;
        arm_cortex-a7_neon-vfpv4)
            debian=armhf triplet=arm-linux-gnueabihf musl=arm-linux-musleabihf emulator=qemu-arm-static
            ;;
        # Debian's compiler makes hard-float code for MIPS: for the 24kf, and not for OpenWrt's soft-float 24kc.
        mipsel_24kc_24kf) debian=mipsel triplet=mipsel-linux-gnu musl=mipsel-linux-musl emulator=qemu-mipsel-static ;;
        # No router; it is what shows that both byte orders work.
        s390x) debian=s390x triplet=s390x-linux-gnu musl=s390x-linux-musl emulator=qemu-s390x-static ;;
        *)
            echo "there is no target '$1'; there are: ${targets[*]}" >&2
            return 2
            ;;
    esac
}
