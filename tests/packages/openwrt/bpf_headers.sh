#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# bpf_headers.sh DIRECTORY: what OpenWrt's package bpf-headers installs, the headers of a kernel that was configured for a
# MIPS, from Debian's packages, unpacked and never installed. Idempotent: what is whole is left as it is.
set -eu
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=packaging/cross/private_apt.sh
. "$here/../../../packaging/cross/private_apt.sh"
mkdir -p "$1"
to=$(readlink -f "$1")
[ ! -e "$to/whole" ] || exit 0

apt=$to/apt
rm -rf "${to:?}"/*
mkdir -p "$apt/packages"
private_apt "$apt" mipsel bookworm
# The package of a series names that of its last kernel, and that the part that all processors share.
names() { apt-cache depends "$1" | sed -n "s/^ *Depends: \(linux-headers-.*$2\)\$/\1/p"; }
of_mips=$(names linux-headers-4kc-malta 4kc-malta)
of_all=$(names "$of_mips" common)
(cd "$apt/packages" && apt-get -q download "$of_mips" "$of_all" >> "$apt/log" 2>&1) || { cat "$apt/log" >&2; exit 1; }
for package in "$apt"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
        tar -x -C "$to" --strip-components=4 --wildcards --no-wildcards-match-slash './usr/src/*/include' './usr/src/*/arch/mips/include'
done
mkdir -p "$to/tools/lib" "$to/samples/bpf"
ln -s /usr/include/bpf "$to/tools/lib/bpf"
: > "$to/samples/bpf/asm_goto_workaround.h"  # for headers that ask the assembler: none that is used does
rm -rf "$apt"
touch "$to/whole"
