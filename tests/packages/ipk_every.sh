#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ipk_every.sh DIRECTORY: the tests of OpenWrt's packages for each architecture whose packages are in DIRECTORY.
set -eu
here=$(dirname "$(readlink -f "$0")")
shopt -s nullglob
packages=("$1"/viscum_*.ipk)
[[ ${#packages[@]} -gt 0 ]] || { echo "there are no packages in $1: make packages" >&2 && exit 1; }
failed=0
for package in "${packages[@]}"; do
    architecture=$(basename "$package" .ipk)
    architecture=${architecture#viscum_*_}
    for case in format content programs life apk; do
        status=0
        said=$("$here/ipk_test.sh" "$case" "$1" "$architecture" 2>&1) || status=$?
        case $status in
            0) said=passed ;;
            77) ;;
            *) failed=1 said="FAILED: $said" ;;
        esac
        echo "$architecture: $case: $said"
    done
done
exit "$failed"
