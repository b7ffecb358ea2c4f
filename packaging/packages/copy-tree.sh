#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# copy-tree.sh DIRECTORY: a copy of the tree as it is now, also of what is not committed, without its history and without
# what was built in it. DIRECTORY may lie in the tree.
set -eu
tree=$(readlink -f "$(dirname "$0")/../..")
rm -rf "$1"
mkdir -p "$1"
to=$(readlink -f "$1")
leave=(--exclude=./.git '--exclude=./build*' --exclude=./.cache)
case $to in
    "$tree"/*)
        inside=${to#"$tree"/}
        leave+=("--exclude=./${inside%%/*}")
        ;;
esac
tar -C "$tree" "${leave[@]}" -cf - . | tar -C "$to" -xf -
