# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# The processors that can be built for, by the name that OpenWrt gives them. To be sourced:
#
#   target NAME   sets: debian (its architecture), triplet (of its compiler), musl (of its small C library), emulator
set -eu

targets=(aarch64_generic)

target() {
    case $1 in
        aarch64_generic) debian=arm64 triplet=aarch64-linux-gnu musl=aarch64-linux-musl emulator=qemu-aarch64-static ;;
        *)
            echo "there is no target '$1'; there are: ${targets[*]}" >&2
            return 2
            ;;
    esac
}
