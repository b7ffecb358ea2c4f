#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# debian_test.sh CASE DIRECTORY JOBS: Debian's packages in DIRECTORY, which the case `build` puts there.
set -eu
case=$1 directory=$2 jobs=$3
here=$(dirname "$(readlink -f "$0")")
tree=$here/../..

# shellcheck source=tests/support/script.sh
. "$tree/tests/support/script.sh"

# The file of a package, of the version that the project has.
version=$(sed -n 's/^project(viscum VERSION \([0-9.]*\) .*/\1/p' "$tree/CMakeLists.txt")
package() {
    local file architecture=all
    [[ $1 = viscum-doc ]] || architecture=$(dpkg --print-architecture)
    file=$directory/$1_${version}_$architecture.deb
    [[ -e $file ]] || skip "the packages are not built"
    echo "$file"
}

# The unit as viscum has it.
unit() { dpkg-deb --fsys-tarfile "$(package viscum)" | tar -xOf - ./lib/systemd/system/viscumd.service; }

build() {
    need dpkg-buildpackage dh
    local built name
    built=$("$tree/packaging/debian/build.sh" "$directory" "$jobs")
    [[ ! -e $tree/debian ]] || fail 'the tree has a folder debian/'
    diff <(for name in viscum viscum-image viscum-exporter viscum-doc; do basename "$(package "$name")"; done | sort) \
        <(xargs -n 1 basename <<< "$built" | sort) ||
        fail 'other packages than those of the version in CMakeLists.txt are built'
}

# Documents and examples may come and go.
content() {
    diff <(sort << FILES
/etc/viscum/viscum.yaml
/lib/systemd/system/viscumd.service
/usr/libexec/viscum/viscum-prober
/usr/libexec/viscum/viscum-shim
/usr/sbin/viscumctl -> viscumd
/usr/sbin/viscumd
/usr/share/bash-completion/completions/viscumctl
/usr/share/lintian/overrides/viscum
/usr/share/man/man1/viscumctl.1.gz
/usr/share/man/man5/viscum-service.5.gz
/usr/share/man/man5/viscum.yaml.5.gz
/usr/share/man/man8/viscumd.8.gz
/usr/share/zsh/vendor-completions/_viscumctl
FILES
    ) <(files viscum) || fail 'viscum: < what it is to have, > what it has'
    diff <(echo /usr/libexec/viscum/viscum-image) <(files viscum-image) || fail 'viscum-image: as above'
    diff <(sort << FILES
/etc/default/viscum-exporter
/lib/systemd/system/viscum-exporter.service
/usr/sbin/viscum-exporter
/usr/share/lintian/overrides/viscum-exporter
/usr/share/man/man8/viscum-exporter.8.gz
/usr/share/viscum-exporter/viscum.json
/usr/share/viscum-exporter/viscum.rules.yml
FILES
    ) <(files viscum-exporter) || fail 'viscum-exporter: as above'
    local name all
    all=$(dpkg-deb -c "$(package viscum)")
    for name in copyright changelog.gz debian.md examples/nginx/service.yaml; do
        grep -qF " ./usr/share/doc/viscum/$name" <<< "$all" || fail "viscum has no $name"
    done
    [[ -z $(files viscum-doc) ]] || fail "viscum-doc has more than documentation: $(files viscum-doc)"
    dpkg-deb -c "$(package viscum-doc)" | grep -q ' ./usr/share/doc/viscum/service-file.md' || fail 'viscum-doc has no service-file.md'
    # Where they were built is nothing that a package may tell: built elsewhere, it would be another.
    for name in viscum viscum-image viscum-exporter viscum-doc; do
        all=$(dpkg-deb --fsys-tarfile "$(package "$name")" | grep -caF "$(readlink -f "$directory")/" || true)
        [[ $all = 0 ]] || fail "$name has the place in it where it was built"
    done
    diff <(echo /etc/viscum/viscum.yaml) <(dpkg-deb -I "$(package viscum)" conffiles) || fail 'conffiles: as above'
}

files() {
    dpkg-deb -c "$(package "$1")" | sed -n '/^d/d; s|^[^.]* \./|/|p' | sed '/^\/usr\/share\/doc\//d' | sort
}

lintian_is_silent() {
    need lintian
    local said
    said=$(lintian --allow-root --fail-on none --display-info --tag-display-limit 0 "$(package viscum)" "$(package viscum-image)" "$(package viscum-doc)" \
        "$(package viscum-exporter)" 2>&1)
    [[ -z $said ]] || fail "$said"
}

# The exposure is 7.1 of 10; the unit says what each of the rest is open for.
unit_is_sound() {
    need systemd-analyze
    local text said
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    text=$(unit)
    grep -q '^ExecStart=/usr/sbin/viscumd$' <<< "$text" || fail 'another program is started'
    # A restart is one of viscumd alone, and services outlive it in the unit's control group.
    grep -q '^KillMode=process$' <<< "$text" || fail 'a restart would end all services'
    # The program is not installed here.
    echo "${text/'ExecStart=/usr/sbin/viscumd'/ExecStart=/bin/true}" > "$work/viscumd.service"
    said=$(systemd-analyze verify --man=no "$work/viscumd.service" 2>&1 || echo failed)
    [[ -z $said ]] || fail "verify: $said"
    systemd-analyze security --offline=true --threshold=72 --no-pager "$work/viscumd.service" > "$work/security" ||
        fail "$(cat "$work/security")"
    # Each would give viscumd mounts of its own: nobody else would see its namespaces and pins.
    if grep -E '^(Protect|Private(Tmp|Devices|Mounts|Network)|ReadOnly|ReadWrite|Inaccessible|Root|MountFlags|TemporaryFileSystem)' <<< "$text"; then
        fail 'viscumd would have mounts or a network of its own'
    fi
}

# An installed system of Debian's, made once, with what the packages depend on: an installation then needs no network.
system() {
    local needed mirror=http://deb.debian.org/debian new=$directory/system
    needed="busybox-static systemd $(for name in viscum viscum-image viscum-exporter; do dpkg-deb -f "$(package "$name")" Depends; done |
        tr ',' '\n' | sed -E 's/^ *([^ ]+).*/\1/' | grep -v '^viscum' | sort -u | paste -sd ' ')"
    tarball=$directory/bookworm-$(md5sum <<< "$needed" | cut -c 1-12).tar
    [[ ! -e $tarball ]] || return 0
    wget -q --tries=2 --timeout=20 --spider "$mirror/dists/bookworm/InRelease" || skip "there is no $mirror"
    rm -rf "$new"
    mkdir -p "$new"
    debootstrap --variant=minbase bookworm "$new/root" "$mirror" > "$new/log" 2>&1 || fail "$(tail -n 5 "$new/log")"
    # apt, not debootstrap, knows which package provides another's name.
    # shellcheck disable=SC2086  # one word a package
    DEBIAN_FRONTEND=noninteractive chroot "$new/root" apt-get -q -y --no-install-recommends install $needed \
        > "$new/log" 2>&1 < /dev/null || fail "$(tail -n 5 "$new/log")"
    tar -C "$new/root" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./usr/share/locale/*' \
        --exclude='./proc/*' --exclude='./sys/*' -cf "$tarball.new" .
    mv "$tarball.new" "$tarball"
    rm -rf "$new"
}

# With a higher number and another viscum.yaml, of what is there: packed anew, not built again.
next_version() {
    local name
    for name in viscum viscum-image; do
        dpkg-deb -R "$(package "$name")" "$work/$name"
        sed -i -E "s/^Version: .*/Version: 99/; s/viscum \(= [^)]*\)/viscum (= 99)/" "$work/$name/DEBIAN/control"
        if [[ $name = viscum ]]; then
            echo '# New in version 99.' >> "$work/$name/etc/viscum/viscum.yaml"
        fi
        dpkg-deb -b "$work/$name" "$work/$name.next.deb" > /dev/null
        cp "$(package "$name")" "$work/$name.deb"
    done
    cp "$(package viscum-exporter)" "$work/viscum-exporter.deb"
}

# In mount, process and network namespaces of its own: all that is made there goes with them.
life() {
    [[ $(id -u) = 0 ]] || skip 'not root'
    need debootstrap wget ip tc
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    package viscum > /dev/null
    system
    next_version
    mkdir "$work/root"
    unshare --mount --net --pid --ipc --uts --fork --kill-child "$here/debian_life.sh" "$tarball" "$work"
}

case $case in
    build | content | life) "$case" ;;
    lintian) lintian_is_silent ;;
    unit) unit_is_sound ;;
    *) fail "there is no case '$case'" ;;
esac
