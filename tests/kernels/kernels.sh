# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# The kernels that are booted, by name: PROCESSOR-SERIES. To be sourced:
#
#   kernel NAME   sets: release (of Debian), package, target (of packaging/cross/targets.sh), emulator, console
set -eu

kernels=(x86_64-5.10 x86_64-6.1 x86_64-6.12 arm64-6.1 armv7-6.1 armv7-6.12 mipsel-6.1 s390x-6.1)

kernel() {
    case $1 in
        *-5.10) release=bullseye ;;
        *-6.1) release=bookworm ;;
        *-6.12) release=trixie ;;
    esac
    console=ttyS0
    case $1 in
        x86_64-5.10 | x86_64-6.1 | x86_64-6.12)
            package=linux-image-amd64 target=x86_64
            emulator=(qemu-system-x86_64)
            ;;
        arm64-6.1)
            package=linux-image-arm64 target=aarch64_generic console=ttyAMA0
            emulator=(qemu-system-aarch64 -M virt -cpu cortex-a53)
            ;;
        armv7-6.1 | armv7-6.12)
            package=linux-image-armmp-lpae target=arm_cortex-a9_vfpv3-d16 console=ttyAMA0
            emulator=(qemu-system-arm -M virt -cpu cortex-a15)
            ;;
        mipsel-6.1)
            package=linux-image-4kc-malta target=mipsel_24kc_24kf
            emulator=(qemu-system-mipsel -M malta -cpu 24Kf)
            ;;
        s390x-6.1)
            package=linux-image-s390x target=s390x console=ttysclp0
            emulator=(qemu-system-s390x -M s390-ccw-virtio)
            ;;
        *)
            echo "there is no kernel '$1'; there are: ${kernels[*]}" >&2
            return 2
            ;;
    esac
}
