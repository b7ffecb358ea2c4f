#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# pack.sh ARCHITECTURE INSTALLED DIRECTORY: viscum_VERSION_ARCHITECTURE.ipk, viscum-image's and viscum-exporter's, in
# DIRECTORY, of what is installed in INSTALLED (see stage.sh); their names are printed. Of the same programs, the same bytes.
#
# An .ipk of OpenWrt is a gzipped tar, no ar as Debian's, of three members in this order.
set -eu
umask 022
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$3"
to=$(readlink -f "$3")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# archive FILE MEMBER...: neither who packed, nor when, nor in which order the directory was read, is in it.
archive() {
    local file=$1
    shift
    tar --format=gnu --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - "$@" | gzip -n -9 > "$file"
}

# What OpenWrt's build writes: its functions run what of ours is in postinst-pkg and prerm-pkg.
write_script() {
    {
        echo '#!/bin/sh'
        # shellcheck disable=SC2016  # the script's variables
        [ "$1" != postinst ] || echo '[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0'
        # shellcheck disable=SC2016
        printf '%s\n' '[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0' '. "${IPKG_INSTROOT}/lib/functions.sh"' \
            "default_$1 \"\$0\" \"\$@\""
    } > "$2/$1"
}

# The folder of the control archive, of what is staged.
write_control() {
    local staged=$1 control=$2 script
    {
        cat "$staged/control"
        echo "Installed-Size: $(zcat "$work/data.tar.gz" | wc -c)"
        printf 'Description: %s\n' "$(sed -E 's/^[[:space:]]*/ /' "$staged/description" | sed '1s/^ //')"
    } > "$control/control"
    [ ! -e "$staged/conffiles" ] || cp "$staged/conffiles" "$control/conffiles"
    for script in postinst prerm; do
        write_script "$script" "$control"
        [ ! -e "$staged/$script" ] || cp "$staged/$script" "$control/$script-pkg"
    done
    for script in preinst postrm; do
        [ ! -e "$staged/$script" ] || cp "$staged/$script" "$control/$script"
    done
    chmod 644 "$control"/*
    find "$control" -type f ! -name control ! -name conffiles -exec chmod 755 {} +
}

pack() {
    local staged=$work/$1/staged control=$work/$1/control
    "$here/stage.sh" "$1" "$2" "$3" "$staged"
    field() { sed -n "s/^$1: //p" "$staged/control"; }
    epoch=$(field SourceDateEpoch)
    mkdir -p "$control"
    archive "$work/data.tar.gz" -C "$staged/root" .
    write_control "$staged" "$control"
    archive "$work/control.tar.gz" -C "$control" .
    echo 2.0 > "$work/debian-binary"
    local file
    file=$to/$1_$(field Version)_$2.ipk
    archive "$file" -C "$work" ./debian-binary ./data.tar.gz ./control.tar.gz
    echo "$file"
}

for package in viscum viscum-image viscum-exporter; do
    pack "$package" "$1" "$2"
done
