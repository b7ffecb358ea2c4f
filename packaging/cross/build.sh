#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# build.sh TARGET DIRECTORY [JOBS]: the programs for a target of targets.sh, linked statically, in DIRECTORY/build/bin.
# Needs Debian's compiler for it (g++-TRIPLET); where qemu-user-static is installed, each program is run once.
set -eu
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=packaging/cross/targets.sh
. "$here/targets.sh"
target "$1"
command -v "$triplet-g++" > /dev/null || {
    echo "there is no $triplet-g++: apt-get install g++-${triplet/_/-}" >&2
    exit 2
}
mkdir -p "$2"
root=$(readlink -f "$2")
"$here/sysroot.sh" "$1" "$root/sysroot"
cmake -S "$here/../.." -B "$root/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" \
    -DVISCUM_TRIPLET="$triplet" -DVISCUM_SYSROOT="$root/sysroot" -DVISCUM_STATIC=ON -DVISCUM_LTO=ON -DVISCUM_TESTS=OFF \
    > "$root/log" || { cat "$root/log" >&2; exit 1; }
cmake --build "$root/build" -j "${3:-2}" > "$root/log" 2>&1 || { cat "$root/log" >&2; exit 1; }

# The kernel takes programs of its own byte order alone: the sixth byte of an ELF file says which.
byte_order() {
    od -An -tx1 -j5 -N1 "$1"
}
[ "$(byte_order "$root/build/tcprog/programs.bpf.o")" = "$(byte_order "$root/build/bin/viscumd")" ] || {
    echo "the BPF programs have another byte order than viscumd" >&2
    exit 1
}

command -v "$emulator" > /dev/null || exit 0
for program in viscumd viscumctl viscum-image viscum-exporter; do
    "$emulator" "$root/build/bin/$program" --version
done
for service in "$here"/../../examples/*/*.yaml; do
    "$emulator" "$root/build/bin/viscumctl" validate "$service" > "$root/log" 2>&1 || { cat "$root/log" >&2; exit 1; }
done
# Both say how they are used, and that they are not: not by hand. 128 and more would be a crash.
for program in viscum-shim viscum-prober; do
    status=0
    "$emulator" "$root/build/bin/$program" < /dev/null > "$root/log" 2>&1 || status=$?
    if [ "$status" -eq 0 ] || [ "$status" -ge 126 ] || [ ! -s "$root/log" ]; then
        echo "$program: status $status" >&2
        cat "$root/log" >&2
        exit 1
    fi
    head -n 1 "$root/log"
done
