#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# guest.sh KERNEL FETCHED CROSS DIRECTORY: DIRECTORY/initramfs, of what fetch.sh has brought and packaging/cross/build.sh
# has built, with the test's own programs, linked in the same way.
set -eu
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/kernels/kernels.sh
. "$here/kernels.sh"
# shellcheck source=packaging/cross/targets.sh
. "$here/../../packaging/cross/targets.sh"
kernel "$1"
target "$target"
fetched=$(readlink -f "$2")
cross=$(readlink -f "$3")
mkdir -p "$4"
to=$(readlink -f "$4")
root=$to/root
rm -rf "$root"
mkdir -p "$root"/{bin,dev,etc,lib,usr/sbin,usr/libexec/viscum}
cd "$here/../.."

# The libraries come last: static ones are searched once.
compile() {
    "$triplet-g++" -std=c++20 -Os -flto -Wall -Wextra -static -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64 -I. \
        -isystem "$cross/sysroot/usr/include" -L"$cross/sysroot/usr/lib/$triplet" -s -o "$root/bin/$1" "${@:2}"
}
ours=("$cross/build/libviscum_netns.a" "$cross/build/libviscum_base.a")
compile viscum-test-server tests/e2e/server/main.cpp tests/support/endpoint.cpp "${ours[@]}"
compile viscum-test-ask tests/kernels/guest/ask.cpp tests/support/{endpoint,http_client,udp_client}.cpp "${ours[@]}"
compile viscum-test-verify tests/kernels/guest/verify.cpp -lbpf -lelf -lz

cp -P "$cross"/build/bin/{viscumd,viscumctl} "$root/usr/sbin/"
cp "$cross"/build/bin/{viscum-shim,viscum-prober,viscum-image} "$root/usr/libexec/viscum/"
cp "$cross/build/tcprog/programs.bpf.o" "$root/lib/"
cp -r "$fetched/modules/lib/modules" "$root/lib/"
cp "$fetched/wanted" "$root/"
cp tests/kernels/guest/init "$root/init"
cp tests/kernels/guest/kernel-test "$root/bin/"
printf 'root:x:0:0:root:/:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"

# need FILE...: copies the libraries of dynamic programs, and theirs, and what loads them.
need() {
    local name found
    { readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
      readelf -l "$@" | sed -n 's/.*interpreter: \(.*\)\]/\1/p'; } | sort -u | while read -r name; do
        [ ! -e "$root/lib/$(basename "$name")" ] || continue
        found=$(find "$fetched/userland" -name "$(basename "$name")" | head -n 1)
        [ -n "$found" ] || { echo "nothing of the packages has $name" >&2; return 1; }
        cp -L "$found" "$root/lib/"
        need "$root/lib/$(basename "$name")"
    done
}
cp "$fetched/userland/bin/busybox" "$root/bin/"
# Not /sbin/ip: that is a link to /bin/ip, of the machine that builds.
cp "$fetched"/userland/{bin/ip,sbin/tc} "$root/usr/sbin/"
need "$root"/usr/sbin/{ip,tc}
# Where programs look for what loads them, on some processors.
ln -s lib "$root/lib64"
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) > "$to/initramfs"
