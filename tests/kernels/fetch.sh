#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# fetch.sh KERNEL DIRECTORY: what is booted, from Debian's packages, unpacked and never installed:
#
#   DIRECTORY/vmlinuz       the kernel
#   DIRECTORY/version
#   DIRECTORY/modules       those of its modules that a hotspot needs, with what they need themselves
#   DIRECTORY/wanted        the names of the former
#   DIRECTORY/userland      busybox, ip and tc with their libraries
#
# Idempotent: what is whole is left as it is.
set -eu
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/kernels/kernels.sh
. "$here/kernels.sh"
# shellcheck source=packaging/cross/targets.sh
. "$here/../../packaging/cross/targets.sh"
# shellcheck source=packaging/cross/private_apt.sh
. "$here/../../packaging/cross/private_apt.sh"
kernel "$1"
target "$target"
mkdir -p "$2"
to=$(readlink -f "$2")
[ ! -e "$to/whole" ] || exit 0

# Those that a bed, a hotspot and Viscum use. Some are built in, and some are of other series. Connection tracking asks
# for a checksum by its name, which is no dependency: crc32c_generic.
wanted=(crc32c_generic veth bridge sch_ingress cls_bpf cls_u32 act_mirred overlay squashfs loop nf_conntrack
    nf_conntrack_netlink nf_tables nft_chain_nat nft_masq nft_ct inet_diag tcp_diag udp_diag af_packet)
libraries=(libc6 libbpf1 libelf1 zlib1g libmnl0 libbsd0 libmd0 libcap2 libxtables12)

apt=$to/apt
rm -rf "${to:?}"/*
mkdir -p "$apt"/{kernel,userland}
private_apt "$apt" "$debian" bookworm "$release"

# logged COMMAND...: silent, unless it fails.
logged() { "$@" >> "$apt/log" 2>&1 || { cat "$apt/log" >&2; exit 1; }; }
# The package of a series names that of its last kernel.
image=$(apt-cache show "$package/$release" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
cd "$apt/kernel"
logged apt-get -q download "$image/$release"
cd "$apt/userland"
logged apt-get -q download busybox-static/bookworm iproute2/bookworm "${libraries[@]/%//bookworm}"

mkdir -p "$apt/all" "$to/userland"
dpkg-deb --fsys-tarfile "$apt"/kernel/*.deb | tar -x -C "$apt/all" --wildcards './boot/vmlinu*' '*/modules.builtin*' \
    '*/modules.order' '*/kernel/net/*' '*/kernel/lib/*' '*/kernel/crypto/*' '*/kernel/arch/*/crypto/*' \
    '*/kernel/drivers/net/veth*' '*/kernel/drivers/block/loop*' '*/kernel/fs/overlayfs/*' '*/kernel/fs/squashfs/*' \
    2>> "$apt/log" || [ -n "$(echo "$apt"/all/boot/vmlinu*)" ]
[ -d "$apt/all/lib" ] || mv "$apt/all/usr/lib" "$apt/all/lib"
version=$(basename "$apt"/all/lib/modules/*)
case $version in
    "${1##*-}".*) ;;
    *) echo "$1: this is $version" >&2; exit 1 ;;
esac
cp "$apt"/all/boot/vmlinu* "$to/vmlinuz"
find "$apt/all/lib/modules" -name '*.ko.xz' -exec xz -d {} +
logged depmod -b "$apt/all" "$version"
for module in "${wanted[@]}"; do
    files=$(/sbin/modprobe -d "$apt/all" -S "$version" --show-depends "$module" 2>> "$apt/log" |
        sed -n 's/^insmod \([^ ]*\).*/\1/p') || true
    [ -n "$files" ] || continue
    echo "$module" >> "$to/wanted"
    for file in $files; do
        install -D -m 644 "$file" "$to/modules/${file#"$apt"/all/}"
    done
done
cp "$apt"/all/lib/modules/"$version"/modules.{order,builtin}* "$to/modules/lib/modules/$version/"
logged depmod -b "$to/modules" "$version"
echo "$version" > "$to/version"

for file in "$apt"/userland/*.deb; do
    dpkg-deb --fsys-tarfile "$file" | tar -x -C "$to/userland" --exclude './usr/share' --exclude '*/gconv' --exclude './var'
done
rm -rf "$apt"
touch "$to/whole"
