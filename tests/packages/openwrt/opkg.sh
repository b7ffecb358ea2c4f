#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# opkg.sh install ROOT FILE | remove ROOT PACKAGE: what opkg does with packages, their scripts and configuration files,
# in the order in which it does it. With OFFLINE=1 as an image is made: scripts run outside of ROOT, and are told of it.
set -eu
verb=$1 root=$2
info=$root/usr/lib/opkg/info

# run NAME SCRIPT PKG_UPGRADE ARGUMENT...
run() {
    local script=/usr/lib/opkg/info/$1.$2 upgrade=$3
    [ -e "$root$script" ] || return 0
    if [ "${OFFLINE:-0}" = 1 ]; then
        env -i "PATH=$PATH" "IPKG_INSTROOT=$root" "PKG_UPGRADE=$upgrade" "$root$script" "${@:4}"
    else
        chroot "$root" /bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "PKG_UPGRADE=$upgrade" "$script" "${@:4}"
    fi
}

sum() { md5sum < "$1" | cut -d ' ' -f 1; }
conffiles() { cat "$info/$1.conffiles" 2> /dev/null || true; }

# Whether one of PACKAGE is not as it came.
edited() { [ "$(sum "$root$2")" != "$(sed -n "s|^$2 ||p" "$info/$1.status")" ]; }

# What the package before had, and the new one does not.
remove_obsolete() {
    local file
    while read -r file; do
        grep -qxF "$file" "$info/$1.list" || rm -f "$root$file"
    done < "$2/list"
}

install() {
    local name file upgrade=0 kept=()
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/control" "$work/data"
    tar -C "$work" -xzf "$1"
    tar -C "$work/control" -xzf "$work/control.tar.gz"
    tar -C "$work/data" -xpzf "$work/data.tar.gz"
    name=$(sed -n 's/^Package: //p' "$work/control/control")
    [ ! -e "$info/$name.list" ] || { upgrade=1 && cp "$info/$name.list" "$work/list"; }
    [ "$upgrade" = 0 ] || run "$name" prerm 1 upgrade

    # Those that were edited, and those that another package or a removed one left.
    for file in $(cat "$work/control/conffiles" 2> /dev/null || true); do
        [ -e "$root$file" ] || continue
        if ! conffiles "$name" | grep -qxF "$file" || edited "$name" "$file"; then
            cp -p "$root$file" "$work/$(basename "$file").kept"
            kept+=("$file")
        fi
    done
    rm -f "$info/$name".*
    mkdir -p "$info"
    cp -a "$work/data/." "$root/"
    (cd "$work/data" && find . \( -type f -o -type l \) -printf '/%P\n') > "$info/$name.list"
    (cd "$work/control" && for file in *; do cp -p "$file" "$info/$name.$file"; done)
    for file in $(conffiles "$name"); do
        echo "$file $(sum "$root$file")" >> "$info/$name.status"
    done
    for file in "${kept[@]}"; do
        cmp -s "$root$file" "$work/$(basename "$file").kept" || mv "$root$file" "$root$file-opkg"
        cp -p "$work/$(basename "$file").kept" "$root$file"
    done
    [ "$upgrade" = 0 ] || remove_obsolete "$name" "$work"
    run "$name" postinst "$upgrade" configure
}

# Folders that are empty then go as well.
remove() {
    local file
    run "$1" prerm 0 remove
    while read -r file; do
        if conffiles "$1" | grep -qxF "$file" && [ -e "$root$file" ] && edited "$1" "$file"; then
            continue
        fi
        rm -f "$root$file"
        rmdir -p --ignore-fail-on-non-empty "$(dirname "$root$file")" 2> /dev/null || true
    done < "$info/$1.list"
    run "$1" postrm 0 remove
    rm -f "$info/$1".*
}

case $verb in
    install | remove) "$verb" "$3" ;;
    *) echo "there is no verb '$verb'" >&2 && exit 2 ;;
esac
