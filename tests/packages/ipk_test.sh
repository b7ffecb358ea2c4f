#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ipk_test.sh CASE DIRECTORY ARCHITECTURE [PROGRAMS]: OpenWrt's packages in DIRECTORY. Those of the architecture `native`
# the case `build` puts there, of the programs in PROGRAMS: for scripts and layout they are as good as those that
# packaging/ipk/build.sh makes, which are linked statically and run by qemu-user. The case `cross` puts those of another
# there, by that script, with the builds of `make cross` in PROGRAMS.
set -eu
case=$1 directory=$(readlink -m "$2") architecture=$3 programs=${4:-}
here=$(dirname "$(readlink -f "$0")")
tree=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/support/script.sh
. "$tree/tests/support/script.sh"

version=$(sed -n 's/^project(viscum VERSION \([0-9.]*\) .*/\1/p' "$tree/CMakeLists.txt")-r1
package() {
    local file=$directory/$1_${version}_$architecture.ipk
    [[ -e $file ]] || skip 'the packages are not built'
    echo "$file"
}

# member PACKAGE control|data: that archive. Of the archive, one file: file_of PACKAGE control|data NAME.
member() { tar -xOzf "$(package "$1")" "./$2.tar.gz"; }
file_of() { member "$1" "$2" | tar -xOzf - "./$3"; }
field() { file_of "$1" control control | sed -n "s/^$2: //p"; }

build() {
    local installed=$work/usr
    mkdir -p "$installed"/{sbin,libexec/viscum}
    cp "$programs"/viscum{d,-exporter} "$installed/sbin/"
    cp "$programs"/viscum-{shim,prober,image} "$installed/libexec/viscum/"
    rm -rf "$directory"
    "$tree/packaging/ipk/pack.sh" "$architecture" "$work" "$directory" > "$work/first"
    diff <(printf '%s\n' "$(package viscum)" "$(package viscum-image)" "$(package viscum-exporter)") "$work/first" || fail 'other packages are built'
    # What else there is to be different: who, when and where.
    find "$work" -exec touch -d '2001-01-01' {} +
    (umask 077 && TZ=Pacific/Auckland LC_ALL=C "$tree/packaging/ipk/pack.sh" "$architecture" "$work" "$work/again" > /dev/null)
    local name
    for name in viscum viscum-image viscum-exporter; do
        cmp "$(package $name)" "$work/again/$(basename "$(package $name)")" || fail 'packed twice, they are two'
    done
}

# Minutes, where nothing is built yet.
cross() {
    use_target
    need "$triplet-g++" "$emulator" readelf wget
    [[ -e $programs/$architecture/sysroot/whole ]] ||
        wget -q --tries=2 --timeout=20 --spider http://deb.debian.org/debian/dists/bookworm/InRelease ||
        skip 'there is no http://deb.debian.org/debian, of whose libraries they are built'
    VISCUM_TARGETS=$architecture VISCUM_CROSS=$programs "$tree/packaging/ipk/build.sh" "$directory" "$(nproc)" ||
        fail 'they cannot be built'
    format
    content
    programs_run
}

# Of the architecture: what packaging/cross/targets.sh sets.
use_target() {
    # shellcheck source=packaging/cross/targets.sh
    . "$tree/packaging/cross/targets.sh"
    target "$architecture"
}

# OpenWrt's C library is musl, for which Debian has no libstdc++. So nothing is linked: its headers, of a processor whose
# long has 32 bits and its time_t 64, have all that is asked for, of the types that are expected.
musl() {
    use_target
    need "$triplet-g++" xargs
    local sysroot=$programs/$architecture/sysroot name
    [[ -e $sysroot/whole ]] || skip 'there is nothing to build for that processor with'
    local includes=(-I"$tree" -isystem "$here/openwrt/musl")
    while IFS= read -r name; do
        includes+=(-isystem "$name")
    done < <("$triplet-g++" -E -v -x c++ - < /dev/null 2>&1 | sed -n 's/^ //p' | grep '^/[^ ]*/include' | xargs -n 1 readlink -f |
        grep -E '/c\+\+/|/gcc')  # the compiler's own, and not those of glibc
    includes+=(-isystem "$sysroot/usr/include/$musl" -isystem "$sysroot/usr/include" -isystem "$sysroot/usr/include/libnl3")
    mkdir "$work/kernel"
    for name in linux asm asm-generic; do
        ln -s "/usr/$triplet/include/$name" "$work/kernel/$name"
    done
    (cd "$tree" && find base netns tcprog classic controller -name '*.cpp' -print0 |
        xargs -0 -P "$(nproc)" -n 8 "$triplet-g++" -std=c++20 -Os -fsyntax-only -Wall -Wextra -Wconversion -Werror \
            -nostdinc "${includes[@]}" -isystem "$work/kernel" -include glibc.h -D_GNU_SOURCE -DFMT_HEADER_ONLY \
            -DSPDLOG_FMT_EXTERNAL -DVISCUM_VERSION='"0"') > "$work/log" 2>&1 || fail "$(head -n 40 "$work/log")"
}

# archive NAME FILE: a gzip without name and time; members below ./, of root's, and each once.
archive() {
    local listing
    [[ $(od -An -tx1 -N8 "$2" | tr -d ' ') = 1f8b080000000000 ]] || fail "$1: it tells its name or time, or is no gzip"
    listing=$(tar --numeric-owner -tvzf "$2")
    [[ -z $(awk '$2 != "0/0"' <<< "$listing") ]] || fail "$1: not all is root's:" "$listing"
    listing=$(tar -tzf "$2")
    ! grep -qvE '^\./' <<< "$listing" || fail "$1: a name is not below ./:" "$listing"
    ! grep -qE '(^|/)\.\.(/|$)' <<< "$listing" || fail "$1: a name leads out of it:" "$listing"
    [[ -z $(sed 's|^\./||; s|/$||' <<< "$listing" | sort | uniq -d) ]] || fail "$1: a name is there twice:" "$listing"
}

format() {
    local name file script part
    for name in viscum viscum-image viscum-exporter; do
        file=$(package $name)
        archive "$file" "$file"
        diff <(printf './%s\n' debian-binary data.tar.gz control.tar.gz) <(tar -tzf "$file") || fail "$name: other members"
        [[ $(tar -xOzf "$file" ./debian-binary) = 2.0 ]] || fail "$name: debian-binary is not 2.0"
        mkdir "$work/$name"
        for part in control data; do
            member "$name" $part > "$work/$part.tar.gz"
            archive "$name's $part" "$work/$part.tar.gz"
        done
        tar -C "$work/$name" -xpzf "$work/control.tar.gz"
        fields "$name" "$work/data.tar.gz"
        for script in "$work/$name"/{pre,post}{inst,rm}{,-pkg}; do
            [[ -e $script ]] || continue
            [[ $(head -n 1 "$script") = '#!/bin/sh' ]] || fail "$script: no shell is named"
            [[ $(stat -c %a "$script") = 755 ]] || fail "$script: cannot be run"
            busybox ash -n "$script" || fail "$script: no shell reads it"
        done
        for script in postinst prerm; do
            grep -q "^default_$script " "$work/$name/$script" || fail "$name: OpenWrt's own part of $script is not run"
        done
    done
    for file in $(file_of viscum control conffiles); do
        file_of viscum data "${file#/}" > /dev/null || fail "the configuration file $file is not in the package"
    done
}

# fields PACKAGE DATA: those that OpenWrt's build writes.
fields() {
    local control=$work/$1/control depends name
    local user=''
    [[ $1 != viscum-exporter ]] || user=Require-User
    diff <(printf '%s\n' Package Version Depends Source SourceName License LicenseFiles Section $user SourceDateEpoch URL \
        Maintainer Architecture Installed-Size Description) <(sed -n 's/^\([^ :]*\):.*/\1/p' "$control") ||
        fail "$1: < fields that are to be there, > that are"
    ! grep -qvE '^([A-Z][A-Za-z-]+: .+| .+)$' "$control" || fail "$1: no opkg reads this:" "$(cat "$control")"
    [[ $(field "$1" Package) = "$1" ]] || fail "$1: it has another name"
    [[ $(field "$1" Version) = "$version" ]] || fail "$1: another version than that of CMakeLists.txt"
    [[ $(field "$1" Architecture) = "$architecture" ]] || fail "$1: another architecture"
    [[ $(field "$1" Installed-Size) = "$(zcat "$2" | wc -c)" ]] || fail "$1: another size"
    # Libraries are in the programs, and conditions are the kernel's configuration.
    depends=$(field "$1" Depends)
    ! tr ',' '\n' <<< "$depends" | grep -qE '^ *(lib|[^a-z ])' || fail "$1 depends on $depends"
    for name in $(sed -n "/^define Package\/$1\$/,/^endef/p" "$tree/openwrt/viscum/Makefile" | grep -oE '\+[a-z-]+' |
        grep -v '^+lib' | tr -d +); do
        [[ ", $depends," = *", $name,"* ]] || fail "$1 does not depend on $name: $depends"
    done
}

# files PACKAGE: mode and name of each, and where a link leads.
files() { member "$1" data | tar -tvzf - | sed -n '/^d/d; s|^\([^ ]*\) .* \./|\1 /|p' | sed -E 's| (/[^ ]*[^ ]) +| \1 |' | sort; }

content() {
    diff <(sort << 'FILES'
-rw------- /etc/config/viscum
-rwxr-xr-x /etc/init.d/viscum
-rwxr-xr-x /etc/uci-defaults/90-viscum
-rw-r--r-- /lib/upgrade/keep.d/viscum
-rwxr-xr-x /usr/libexec/rpcd/viscum
-rwxr-xr-x /usr/libexec/viscum/viscum-prober
-rwxr-xr-x /usr/libexec/viscum/viscum-shim
lrwxrwxrwx /usr/sbin/viscumctl -> viscumd
-rwxr-xr-x /usr/sbin/viscumd
-rw-r--r-- /usr/share/rpcd/acl.d/viscum.json
FILES
    ) <(files viscum) || fail 'viscum: < what it is to have, > what it has'
    diff <(echo '-rwxr-xr-x /usr/libexec/viscum/viscum-image') <(files viscum-image) || fail 'viscum-image: as above'
    diff <(sort << 'FILES'
-rw------- /etc/config/viscum-exporter
-rwxr-xr-x /etc/init.d/viscum-exporter
-rw-r--r-- /lib/upgrade/keep.d/viscum-exporter
-rwxr-xr-x /usr/sbin/viscum-exporter
FILES
    ) <(files viscum-exporter) || fail 'viscum-exporter: as above'
    [[ $(field viscum-exporter Require-User) = viscum-exporter=9477:viscum-exporter=9477 ]] || fail 'it has no account'
    local file
    for file in init.d/viscum:init config/viscum:config uci-defaults/90-viscum:defaults; do
        file_of viscum data "etc/${file%:*}" | cmp - "$tree/openwrt/viscum/files/viscum.${file#*:}" || fail 'another file'
    done
    diff <(echo /etc/config/viscum) <(file_of viscum control conffiles) || fail 'configuration files: as above'
}

# Each program, of the processor that the package is for, and with nothing beside it.
programs_run() {
    local run='' name file status
    if [[ $architecture != native ]]; then
        use_target
        need readelf "$emulator"
        run=$emulator
    fi
    for name in viscum viscum-image viscum-exporter; do
        member "$name" data | tar -C "$work" -xpzf -
    done
    for file in "$work"/usr/sbin/viscum{d,-exporter} "$work"/usr/libexec/viscum/*; do
        [[ $architecture = native ]] || ! readelf -lW "$file" | grep -q INTERP || fail "$file needs libraries"
    done
    for name in sbin/viscumd sbin/viscumctl sbin/viscum-exporter libexec/viscum/viscum-image; do
        [[ $($run "$work/usr/$name" --version) = "${name##*/} ${version%-r*}" ]] || fail "$name does not say its version"
    done
    for file in "$tree"/examples/*/*.yaml; do
        $run "$work/usr/sbin/viscumctl" validate "$file" > "$work/log" 2>&1 || fail "$file:" "$(cat "$work/log")"
    done
    for name in shim prober; do
        status=0
        $run "$work/usr/libexec/viscum/viscum-$name" < /dev/null > "$work/log" 2>&1 || status=$?
        if [[ $status -eq 0 || $status -ge 126 ]] || ! grep -q "viscum-$name" "$work/log"; then
            fail "viscum-$name: $status" "$(cat "$work/log")"
        fi
    done
}

# OpenWrt's build of the feed, in $work/tree: a part of package.mk's, with variables.
in_openwrt() {
    mkdir -p "$work/tree/carried/include"  # of what is downloaded
    make -s --no-print-directory -C "$tree/openwrt/viscum" TOPDIR="$tree/packaging/ipk/buildroot" PKG_BUILD_DIR="$work/tree" \
        TO="$work" TAR=: "$@"
}

# What OpenWrt's build would copy of the tree, and whether a build finds there what it names.
feed() {
    need cmake
    local named
    in_openwrt prepare
    # shellcheck disable=SC2046  # one word an option
    PKG_CONFIG_PATH=$work/tree/carried cmake -S "$work/tree" -B "$work/build" $(cat "$work/options") > "$work/log" 2>&1 ||
        fail "$(cat "$work/log")"
    named=$(grep -rhoE "\"$work/tree/[^\"]+\"" "$work/build" --include=cmake_install.cmake | tr -d '"' | sort -u)
    [[ -n $named ]] || fail 'nothing of the tree is found that is installed'
    for named in $named; do
        [[ -e $named ]] || fail "it installs $named, which it does not copy"
    done
}

# What a compiled object has: its byte order, programs, maps, and what libbpf is told of them.
has() {
    readelf -hW "$1" | sed -n 's/.*2.s complement, //p'
    readelf -sW "$1" | awk '$5 == "GLOBAL" {print $4, $8}' | sort
    readelf -SW "$1" | grep -oE '\.BTF(\.ext)?( |$)'
}

# The programs for the kernel, in OpenWrt's way; the kernel here takes them, and they do what the tests of ours ask.
bpf() {
    [[ $(id -u) = 0 ]] || skip 'not root'
    need clang opt llc llvm-dis llvm-strip readelf mipsel-linux-gnu-gcc wget
    local headers=$directory/../bpf-headers object=$work/tree/tcprog/programs.bpf.o ours=$programs/../tcprog/programs.bpf.o
    [[ -e $headers/whole ]] || wget -q --tries=2 --timeout=20 --spider http://deb.debian.org/debian/dists/bookworm/InRelease ||
        skip "there is no http://deb.debian.org/debian, of whose kernel's headers they are compiled"
    "$here/openwrt/bpf_headers.sh" "$headers" 2> "$work/log" || fail "$(cat "$work/log")"
    in_openwrt prepare
    compiled() { in_openwrt BPF_HEADERS_DIR="$headers" "$@" compile > "$work/log" 2>&1; }
    compiled CONFIG_BIG_ENDIAN=y || fail "$(cat "$work/log")"
    diff <(has "$ours" | sed 's/little endian/big endian/') <(has "$object") || fail 'of the other byte order, they differ'
    ! compiled BPF_ARCH=mipsel || fail 'they can be compiled for pointers of 32 bits'
    grep -q 'pointers of 32 bits' "$work/log" || fail "$(cat "$work/log")"
    compiled || fail "$(cat "$work/log")"
    diff <(has "$ours") <(has "$object") || fail 'they are not those that are compiled here'
    VISCUM_TEST_BPF_OBJECT=$object "$programs/bpf" > "$work/log" 2>&1 || fail "$(tail -n 30 "$work/log")"
    grep -q ' 0 failed' "$work/log" || fail "$(tail -n 3 "$work/log")"
}

# With a higher number and another configuration: packed anew, not built again.
next_version() {
    local next=$work/unpacked
    mkdir -p "$next"/{control,data}
    member viscum control | tar -C "$next/control" -xpzf -
    member viscum data | tar -C "$next/data" -xpzf -
    sed -i 's/^Version: .*/Version: 99-r1/' "$next/control/control"
    echo '# New in version 99.' >> "$next/data/etc/config/viscum"
    echo 2.0 > "$next/debian-binary"
    tar -C "$next/control" --owner=0 --group=0 -czf "$next/control.tar.gz" .
    tar -C "$next/data" --owner=0 --group=0 -czf "$next/data.tar.gz" .
    tar -C "$next" -czf "$work/next.ipk" ./debian-binary ./data.tar.gz ./control.tar.gz
}

# In mount, process and network namespaces of its own: all that is made there goes with them.
life() {
    [[ $(id -u) = 0 ]] || skip 'not root'
    need busybox jq unshare
    cp "$(package viscum)" "$work/viscum.ipk"
    cp "$(package viscum-image)" "$work/viscum-image.ipk"
    cp "$(package viscum-exporter)" "$work/viscum-exporter.ipk"
    next_version
    stage_apk
    mkdir "$work/root"
    unshare --mount --net --pid --ipc --uts --fork --kill-child "$here/ipk_life.sh" "$work"
}

# What apk would be given, of the programs of the package.
stage_apk() {
    local name
    mkdir "$work/installed"
    for name in viscum viscum-image viscum-exporter; do
        member "$name" data | tar -C "$work/installed" -xpzf -
    done
    "$tree/packaging/apk/stage.sh" "$architecture" "$work/installed" "$work/apk" > "$work/commands" 2> /dev/null
}

info() { sed -n "s/^$2://p" "$work/apk/$1/info"; }

apk() {
    local name from to
    stage_apk
    for name in viscum viscum-image viscum-exporter; do
        # The same files with the same modes, and beside them only what OpenWrt keeps of a package.
        (cd "$work/apk/$name/root" && tar --sort=name --owner=0 --group=0 --mtime=@0 -cf - .) | gzip -n > "$work/data.tar.gz"
        diff <(files "$name") <(tar -tvzf "$work/data.tar.gz" | sed -n '/^d/d; /\.\/lib\/apk\//d; s|^\([^ ]*\) .* \./|\1 /|p' |
            sort) || fail "$name: < files of the .ipk, > of the .apk"
        diff <(files "$name" | cut -d ' ' -f 2 | LC_ALL=C sort) "$work/apk/$name/root/lib/apk/packages/$name.list" ||
            fail "$name: < files, > its list"
        diff <(file_of "$name" control conffiles 2> /dev/null) <(cat "$work/apk/$name/root/lib/apk/packages/$name.conffiles" \
            2> /dev/null) || fail "$name: < configuration files of the .ipk, > of the .apk"
        for from in Package:name Version:version Architecture:arch License:license URL:url Maintainer:maintainer Source:origin; do
            to=${from#*:}
            [[ $(field "$name" "${from%:*}") = "$(info "$name" "$to")" ]] || fail "$name: another $to: $(info "$name" "$to")"
        done
        [[ $(field "$name" Depends | tr -d ,) = "$(info "$name" depends)" ]] || fail "$name: it depends on $(info "$name" depends)"
        [[ $(info "$name" version) =~ ^[0-9]+(\.[0-9]+)*(_(alpha|beta|pre|rc)[0-9]*)?-r[0-9]+$ ]] || fail "$name: no version of apk's"
        for from in "$work/apk/$name"/scripts/*; do
            [[ $(stat -c %a "$from") = 755 ]] || fail "$from: cannot be run"
            busybox ash -n "$from" || fail "$from: no shell reads it"
            grep -q "^export pkgname=\"$name\"$" "$from" || fail "$from does not say whose it is"
        done
    done
    (cd "$work/apk/viscum/root" && sed -E 's|(.*) (.*)|\2  .\1|' lib/apk/packages/viscum.conffiles_static | sha256sum -c --quiet) ||
        fail 'the sums of configuration files are others'
    # Each word as a shell would hand it over; the program is one that says them.
    sed 's/^fakeroot env [^ ]* apk /printf "%s\\n" /' "$work/commands" > "$work/said.sh"
    diff <(cat "$work"/apk/viscum{,-image,-exporter}/info) <(bash "$work/said.sh" | sed -n '/^--info$/ { n; p }') || fail '< info, > the command'
}

case $case in
    build | cross | musl | format | content | feed | bpf | life | apk) "$case" ;;
    programs) programs_run ;;
    *) fail "there is no case '$case'" ;;
esac
