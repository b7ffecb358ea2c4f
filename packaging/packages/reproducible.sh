#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# reproducible.sh DIRECTORY KIND [JOBS]: whether packaging/KIND/build.sh makes the same packages twice, translated anew
# both times, in two directories and with another umask, time zone and language. Takes minutes.
set -eu
here=$(dirname "$(readlink -f "$0")")
kind=$2 jobs=${3:-2}
rm -rf "$1"
mkdir -p "$1"
cd "$1"

# Both from one copy: somebody may be at work in the tree.
"$here/copy-tree.sh" tree
export CCACHE_DISABLE=1
"tree/packaging/$kind/build.sh" one "$jobs" > /dev/null
(umask 077 && TZ=Pacific/Auckland LC_ALL=C "tree/packaging/$kind/build.sh" another/place "$jobs" > /dev/null)
sums() { (cd "$1" && find . -maxdepth 1 -type f -exec sha256sum {} + | sort -k 2); }
if ! diff <(sums one) <(sums another/place); then
    echo "two builds give two results: see $PWD" >&2
    exit 1
fi
sums one
