#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# sysroot.sh TARGET DIRECTORY: what the programs are linked with for a target, from Debian's packages, unpacked and
# never installed: multiarch's development packages stand in each other's way. Idempotent: a whole one is left as it is.
set -eu
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=packaging/cross/targets.sh
. "$here/targets.sh"
# shellcheck source=packaging/cross/private_apt.sh
. "$here/private_apt.sh"
target "$1"
mkdir -p "$2"
root=$(readlink -f "$2")
[ ! -e "$root/whole" ] || exit 0

# libmnl of Debian 13: that of 12 has no static library. 13 has no mipsel, for which mnl.c stands in.
mnl=libmnl-dev/trixie
releases=(bookworm trixie)
[ "$debian" != mipsel ] || mnl=libmnl-dev releases=(bookworm)
libraries=(libbpf-dev libelf-dev zlib1g-dev libnl-3-dev libnl-route-3-dev "$mnl" libnftnl-dev libyaml-cpp-dev
    libseccomp-dev libarchive-dev libsodium-dev libzstd-dev liblzma-dev libbz2-dev liblz4-dev musl-dev)
headers=(nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev)

apt=$root/apt
mkdir -p "$apt/packages" "$root/usr"
private_apt "$apt" "$debian" "${releases[@]}"
(cd "$apt/packages" && apt-get -q download "${libraries[@]}" "${headers[@]}" >> "$apt/log" 2>&1) ||
    { cat "$apt/log" >&2; exit 1; }
for package in "$apt"/packages/*.deb; do
    dpkg-deb -x "$package" "$root"
done
# Of what is there in both ways, only this one: some links would lead to the libraries of the machine that builds.
find "$root" -name '*.so*' -delete

# What is linked statically says here what it needs of others, and no more: libarchive without XML, ACLs and ciphers.
pc=$root/usr/lib/$triplet/pkgconfig
needs() {
    sed -i '/^Requires.private:/d; /^Libs.private:/d' "$pc/$1.pc"
    echo "Libs.private: $2" >> "$pc/$1.pc"
}
needs libarchive "-llzma -lzstd -llz4 -lbz2 -lz"
needs libbpf "-lelf -lz"
if [ "$mnl" = libmnl-dev ]; then
    "$triplet-gcc" -std=c11 -Os -Wall -Wextra -Werror -ffunction-sections -I "$root/usr/include" -c "$here/mnl.c" \
        -o "$apt/mnl.o"
    "$triplet-ar" rcs "$root/usr/lib/$triplet/libmnl.a" "$apt/mnl.o"
fi
# Debian has neither fmt nor spdlog as a static library; both can be headers alone.
# shellcheck disable=SC2016  # pkg-config's own variable
sed -i '/^Requires:/d; s/^Libs:.*/Libs:/; s/^C[Ff]lags:.*/Cflags: -I${includedir} -DSPDLOG_FMT_EXTERNAL -DFMT_HEADER_ONLY/' \
    "$pc/spdlog.pc"

# As Debian's musl-tools make it for the machine that builds.
cat > "$root/musl.specs" <<SPECS
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem $root/usr/include/$musl -isystem include%s %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem $root/usr/include/$musl -isystem include%s

*link_libgcc:
-L$root/usr/lib/$musl -L .%s

*libgcc:
libgcc.a%s %:if-exists(libgcc_eh.a%s)

*startfile:
$root/usr/lib/$musl/crt1.o $root/usr/lib/$musl/crti.o crtbegin.o%s

*endfile:
crtend.o%s $root/usr/lib/$musl/crtn.o

*link:
-nostdlib -static
SPECS
rm -rf "$apt"
touch "$root/whole"
