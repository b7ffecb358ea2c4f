#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# stage.sh PACKAGE ARCHITECTURE INSTALLED DIRECTORY: what a package of OpenWrt is made of, in DIRECTORY, by the feed's own
# Makefile: root/ has its files, the others what buildroot/include/package.mk says. INSTALLED is what `cmake --install`
# made with the prefix /usr; its programs are linked statically.
set -eu
umask 022
here=$(dirname "$(readlink -f "$0")")
installed=$(readlink -f "$3")
rm -rf "$4"
mkdir -p "$4"
to=$(readlink -f "$4")

# The time of the release: that of the files would be another in each copy of the tree.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p' "$here/../debian/changelog" | head -n 1)" +%s)
fi
# Not those of a make that called this.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
make -s --no-print-directory -C "$here/../../openwrt/viscum" TOPDIR="$here/buildroot" PACKAGE="$1" PKGARCH="$2" \
    PKG_INSTALL_DIR="$installed" TO="$to" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" stage
# A file of no package of the distribution: no group may write what root runs.
[ -z "$(find "$to/root" ! -type l -perm /022)" ]
