#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh BUILD JOBS KERNEL...: boots kernels of kernels.sh, one after the other, in QEMU without acceleration, and has
# the guest's test pass in each. Fails if one fell, and shows what its console said. BUILD/kernels keeps what was
# fetched, and of each kernel the last console and the seconds that it took.
set -eu
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/kernels/kernels.sh
. "$here/kernels.sh"
build=$1
jobs=$2
shift 2
# Seconds: ten times what the slowest takes on two cores, so that a busy machine is no failure.
limit=1200
failed=0
mkdir -p "$build/kernels"

# boot: the console's text, and how long it took.
boot() {
    local started=$SECONDS
    timeout "$limit" "${emulator[@]}" -accel tcg -m 256 -nic none -nographic -no-reboot -kernel "$at/vmlinuz" \
        -initrd "$at/guest/initramfs" -append "console=$console quiet panic=-1" < /dev/null 2>&1 |
        tr -d '\r' > "$at/console" || true
    echo $((SECONDS - started)) > "$at/seconds"
}

# passed: each step that the guest has announced is "ok", in order, and the test has come to its end.
passed() {
    local steps
    steps=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$at/console")
    [ -n "$steps" ] && [ "$steps" -gt 0 ] && grep -qx 'end of the test' "$at/console" &&
        ! grep -q '^not ok' "$at/console" &&
        [ "$(sed -n 's/^ok \([0-9]*\) - .*/\1/p' "$at/console")" = "$(seq "$steps")" ]
}

for name in "$@"; do
    kernel "$name"
    at=$build/kernels/$name
    "$here/../../packaging/cross/build.sh" "$target" "$build/cross/$target" "$jobs" > "$build/kernels/log" 2>&1 ||
        { cat "$build/kernels/log" >&2; exit 1; }
    "$here/fetch.sh" "$name" "$at"
    "$here/guest.sh" "$name" "$at" "$build/cross/$target" "$at/guest"
    boot
    passed || { failed=1; echo "$name: not all is well; its console:"; cat "$at/console"; }
done
"$here/report.sh" "$build" text "$@"
# What was not tried is not written about.
if [ "$*" = "${kernels[*]}" ]; then
    "$here/report.sh" "$build" markdown "$@" > "$build/kernels/kernels.md"
    mv "$build/kernels/kernels.md" "$here/../../docs/kernels.md"
fi
exit "$failed"
