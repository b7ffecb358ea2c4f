#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# stage.sh ARCHITECTURE INSTALLED DIRECTORY: for each package of OpenWrt 25.12 and later, DIRECTORY/PACKAGE with what
# `apk mkpkg` of apk-tools 3 takes, and the command that makes the package of it, on standard output. The command is not
# run: apk-tools 3 is in no release of Debian. Of root/ come the files, of scripts/ what is run, of info a line a field.
set -eu
umask 022
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$3"
to=$(readlink -f "$3")

# script FILE [LINE]: runs OpenWrt's own part, then ours. What apk runs has no name that says which package it is of.
script() {
    local file=$1 what=$2 ours=$3 line
    {
        echo '#!/bin/sh'
        for line in "${@:4}"; do echo "$line"; done
        # shellcheck disable=SC2016  # the script's variables
        printf '%s\n' '[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0' '. "${IPKG_INSTROOT}/lib/functions.sh"' \
            'export root="${IPKG_INSTROOT}"' "export pkgname=\"$package\"" "$what"
        [ ! -e "$staged/$ours" ] || sed '/^#!/d' "$staged/$ours"
    } > "$file"
    chmod 755 "$file"
}

# What OpenWrt's functions and sysupgrade look for, as opkg's directory has it.
list_files() {
    local known=$root/lib/apk/packages file users
    mkdir -p "$known"
    (cd "$root" && find . \( -type f -o -type l \) -printf '/%P\n' | LC_ALL=C sort) > "$staged/list"
    mv "$staged/list" "$known/$package.list"
    users=$(field Require-User)
    [ -z "$users" ] || echo "$users" > "$known/$package.rusers"
    [ -e "$staged/conffiles" ] || return 0
    cp "$staged/conffiles" "$known/$package.conffiles"
    while read -r file; do
        echo "$file $(sha256sum "$root$file" | cut -d ' ' -f 1)"
    done < "$staged/conffiles" > "$known/$package.conffiles_static"
}

stage() {
    package=$1 staged=$to/$1 root=$to/$1/root
    "$here/../ipk/stage.sh" "$@"
    field() { sed -n "s/^$1: //p" "$staged/control"; }
    list_files
    mkdir "$staged/scripts"
    # shellcheck disable=SC2016  # the script's variable
    local no_script='[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0'
    script "$staged/scripts/post-install" $'add_group_and_user\ndefault_postinst' postinst "$no_script"
    script "$staged/scripts/post-upgrade" $'add_group_and_user\ndefault_postinst' postinst 'export PKG_UPGRADE=1' "$no_script"
    script "$staged/scripts/pre-deinstall" default_prerm prerm
    cat > "$staged/info" << INFO
name:$package
version:$(field Version)
description:$(tr -s '[:space:]' ' ' < "$staged/description" | sed 's/^ //; s/ $//')
arch:$(field Architecture)
license:$(field License)
origin:$(field Source)
url:$(field URL)
maintainer:$(field Maintainer)
depends:$(field Depends | tr -d ,)
INFO
    rm -f "$staged"/{description,conffiles,preinst,postinst,prerm,postrm}
}

# Owned by root in the package, whoever makes it; with one time, that it is the same whenever it is made.
command_for() {
    local line argv=(fakeroot env "SOURCE_DATE_EPOCH=$(field SourceDateEpoch)" apk mkpkg)
    while read -r line; do
        argv+=(--info "$line")
    done < "$staged/info"
    for line in "$staged"/scripts/*; do
        argv+=(--script "${line##*/}:$line")
    done
    argv+=(--files "$root" --output "$to/$package-$(field Version).apk")
    printf '%q ' "${argv[@]}"
    echo
}

for name in viscum viscum-image viscum-exporter; do
    stage "$name" "$1" "$2" "$to/$name"
    command_for
    rm "$staged/control"
done
command -v apk > /dev/null || echo 'not run: there is no apk here (apk-tools 3)' >&2
