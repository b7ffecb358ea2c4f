#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# build.sh DIRECTORY [JOBS]: Debian's packages, viscum, viscum-image, viscum-exporter and viscum-doc, in DIRECTORY. They are built in DIRECTORY/debian,
# from a copy of the tree: dpkg-buildpackage wants debian/ at its top, and writes into it.
set -eu
here=$(dirname "$(readlink -f "$0")")
jobs=${2:-2}

mkdir -p "$1"
to=$(readlink -f "$1")
rm -rf "$to/debian" "$to"/*.deb
"$here/../packages/copy-tree.sh" "$to/debian/viscum"
cd "$to/debian/viscum"
cp -R packaging/debian debian

# debhelper gives the build a home of its own: a cache of compilations there would be empty.
if command -v ccache > /dev/null; then
    CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
    export CCACHE_DIR
fi
# Not those of a make that called this.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
DEB_BUILD_OPTIONS="noautodbgsym parallel=$jobs" dpkg-buildpackage --build=binary --no-sign > "$to/debian/log" 2>&1 ||
    { cat "$to/debian/log" >&2; exit 1; }
mv "$to"/debian/*.deb "$to/"
cd "$to"
ls -1 ./*.deb
