#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# build.sh DIRECTORY [JOBS]: OpenWrt's packages for opkg, viscum, viscum-image and viscum-exporter, in DIRECTORY: of
# programs that are linked statically, and so run whatever the release. VISCUM_TARGETS are those of packaging/cross/targets.sh that are built for;
# empty: all whose compiler is there. Builds of `make cross` in VISCUM_CROSS are used again; empty: DIRECTORY/cross.
set -eu
here=$(dirname "$(readlink -f "$0")")
jobs=${2:-2}
# shellcheck source=packaging/cross/targets.sh
. "$here/../cross/targets.sh"
mkdir -p "$1"
to=$(readlink -f "$1")
cross=${VISCUM_CROSS:-$to/cross}

# Those to build for, in $build_for. One that was asked for by its name is not left out.
build_for=()
for name in ${VISCUM_TARGETS:-"${targets[@]}"}; do
    target "$name"
    if [ -n "${VISCUM_TARGETS:-}" ] || command -v "$triplet-g++" > /dev/null; then
        build_for+=("$name")
    else
        echo "$name is left out: there is no $triplet-g++ (apt-get install g++-${triplet/_/-})" >&2
    fi
done

rm -f "$to"/*.ipk
sizes=()
for name in "${build_for[@]}"; do
    target "$name"
    "$here/../cross/build.sh" "$name" "$cross/$name" "$jobs" > /dev/null
    installed=$cross/$name/installed
    rm -rf "$installed"
    DESTDIR=$(readlink -f "$cross")/$name/installed cmake --install "$cross/$name/build" --prefix /usr > /dev/null
    programs=("$installed"/usr/sbin/viscumd "$installed"/usr/libexec/viscum/viscum-{shim,prober})
    image=$installed/usr/libexec/viscum/viscum-image exporter=$installed/usr/sbin/viscum-exporter
    "$triplet-strip" --strip-all "${programs[@]}" "$image" "$exporter"
    mapfile -t packages < <("$here/pack.sh" "$name" "$installed" "$to")
    sizes+=("$name $(cat "${programs[@]}" | wc -c) $(stat -c %s "${packages[0]}") $(stat -c %s "$image" "${packages[1]}" |
        paste -sd ' ') $(stat -c %s "$exporter" "${packages[2]}" | paste -sd ' ')")
done
cd "$to"
ls -1 ./*.ipk
columns='%-26s%10s%10s%16s%10s%16s%10s\n'
# shellcheck disable=SC2059
printf "$columns" 'bytes, stripped and packed' viscum .ipk viscum-image .ipk viscum-exporter .ipk
for line in "${sizes[@]}"; do
    # shellcheck disable=SC2086,SC2059  # one word a column
    printf "$columns" $line
done
