#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ipk_life.sh DIRECTORY: from an installation to a removal, of viscum.ipk, viscum-image.ipk, viscum-exporter.ipk and next.ipk
# in DIRECTORY, and
# of what apk would install, in systems made of busybox and stubs for what OpenWrt has. What is run in them are scripts; no
# program of the packages is. Run as the first process of mount, process and network namespaces of its own.
set -eu
work=$1
here=$(dirname "$(readlink -f "$0")")

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# A script that fails in part says so, and goes on.
opkg() {
    local said
    said=$("$here/openwrt/opkg.sh" "$1" "$root" "$2" 2>&1) || fail "opkg $1 ${2##*/}: $said"
    expect "what opkg $1 ${2##*/} says" '' "$said"
}

expect() { [[ $2 = "$3" ]] || fail "$1: expected '$2', got '$3'"; }

# system NAME: as a router is before the packages, in $root.
system() {
    local library
    root=$work/root/$1
    mkdir -p "$root"/{bin,dev,lib/upgrade/keep.d,etc/{config,init.d,uci-defaults},usr/{bin,sbin,libexec},tmp,stubs}
    ln -s tmp "$root/var"
    cp "$(command -v busybox)" "$root/bin/busybox"
    chroot "$root" /bin/busybox --install -s /bin
    : > "$root/dev/null"
    : > "$root/etc/passwd"
    : > "$root/etc/group"
    mount --bind /dev/null "$root/dev/null"
    # The stub of procd makes JSON of what it is told.
    for library in $(ldd "$(command -v jq)" | grep -oE '/[^ ]+'); do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    cp -L "$(command -v jq)" "$root/usr/bin/jq"
    cp -R "$here/../openwrt/stubs/." "$root/stubs/"
    cp "$here/openwrt/functions.sh" "$root/lib/functions.sh"
    cp "$here/openwrt/rc.common" "$root/etc/rc.common"
    # shellcheck disable=SC2016  # the script's variables
    printf '#!/bin/sh\nSANDBOX="" exec /stubs/bin/uci "$@"\n' > "$root/usr/bin/uci"
    chmod 755 "$root/usr/bin/uci"
    # The packages' programs need the libraries of this machine. viscumd takes what the init script makes.
    printf '#!/bin/sh\n' > "$root/viscumctl"
    chmod 755 "$root/viscumctl"
    printf "config interface 'lan'\n\toption device 'br-guest'\n" > "$root/etc/config/network"
    before=$(listing)
}

inside() { chroot "$root" /bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# All files of the system, but those of opkg and of the stubs.
listing() {
    (cd "$root" && find . \( -path ./stubs -o -path ./usr/lib/opkg -o -path ./tmp \) -prune -o ! -type d -printf '/%P\n' |
        grep -vxE '/(ubus|log|mounts|mounted|sleeps|syncs|called|viscumd|running)' | LC_ALL=C sort)
}

# What is there now that was not there before.
added() { comm -13 <(echo "$before") <(listing) | paste -sd ' '; }

# What procd was told since the last call: the verbs alone.
told() {
    [[ ! -e $root/ubus ]] || cut -d ' ' -f 1 "$root/ubus" | paste -sd ' '
    rm -f "$root/ubus"
}

# In place of the program: writes down how it is called, and succeeds.
stand_in() {
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "$*" >> /called\n' > "$root/viscumd"
    chmod 755 "$root/viscumd"
}

mount --make-rprivate /
mount -t tmpfs -o mode=755 systems "$work/root"

# An installation on a router: enabled, started, and the LAN is named once.
system router
opkg install "$work/viscum.ipk"
opkg install "$work/viscum-image.ipk"
expect 'what procd is to run' '{"command":["/usr/sbin/viscumd","--instance","viscum"],"respawn":["3600","5","0"]}' \
    "$(sed -n 's/^set //p' "$root/ubus" | jq -c '.instances.instance1 | { command, respawn }')"
expect 'what procd is told at an installation' set "$(told)"
inside /etc/init.d/viscum enabled || fail 'it is not enabled'
[[ -L $root/etc/rc.d/S95viscum ]] || fail 'it starts at another time of the boot'
[[ ! -e $root/etc/uci-defaults/90-viscum ]] || fail 'the LAN would be named at each boot'
expect 'the LAN' "	list lan 'br-guest'" "$(grep '^	list' "$root/etc/config/viscum")"
grep -qx 'lan: \["br-guest"\]' "$root/etc/viscum/viscum.yaml" || fail "$(cat "$root/etc/viscum/viscum.yaml")"
expect 'who may read the configuration' 600 "$(stat -c %a "$root/etc/config/viscum")"

# Beside it, what looks at it: as an account of its own, and viscumd is told that somebody may look.
touch "$root/running"
opkg install "$work/viscum-exporter.ipk"
rm "$root/running"
expect 'what procd is to run as well' '{"command":["/usr/sbin/viscum-exporter","--listen","127.0.0.1:9477"],"respawn":["3600","5","0"],"user":"viscum-exporter"}' \
    "$(sed -n 's/^set //p' "$root/ubus" | tail -n 1 | jq -c '.instances.instance1 | { command, respawn, user }')"
expect 'who may look' 'viscum-exporter:x:9477:viscum-exporter' "$(grep viscum "$root/etc/group")"
expect 'what procd is told' 'signal set' "$(told)"
opkg remove viscum-exporter
expect 'what procd is told at its removal' delete "$(told)"
[[ ! -e $root/etc/rc.d/S96viscum-exporter ]] || fail 'a removal leaves what starts it'

# An upgrade keeps what was edited, with the new one beside it, and does not end services. What names the LAN is run again.
stand_in
sed -i 's/br-guest/br-other/' "$root/etc/config/viscum"
cp "$root/etc/config/viscum" "$work/edited"
opkg install "$work/next.ipk"
cmp "$work/edited" "$root/etc/config/viscum" || fail 'an upgrade changes an edited configuration'
expect 'the new configuration' '# New in version 99.' "$(tail -n 1 "$root/etc/config/viscum-opkg")"
expect 'what procd is told at an upgrade' 'delete set set' "$(told)"
[[ ! -e $root/called ]] || fail "an upgrade runs viscumd $(cat "$root/called")"
inside /etc/init.d/viscum enabled || fail 'it is not enabled after an upgrade'
[[ ! -e $root/etc/uci-defaults/90-viscum ]] || fail 'the LAN would be named at each boot after an upgrade'
grep -qx 'lan: \["br-other"\]' "$root/etc/viscum/viscum.yaml" || fail "$(cat "$root/etc/viscum/viscum.yaml")"

# A removal ends all services, and leaves what was edited or made.
opkg remove viscum-image
opkg remove viscum
expect 'how viscumd is called at a removal' '--instance viscum --discard-newer --uninstall' "$(cat "$root/called")"
expect 'what procd is told at a removal' 'delete delete' "$(told)"
expect 'what a removal leaves' '/etc/config/viscum /etc/config/viscum-opkg /etc/viscum/viscum.yaml' "$(added)"
[[ ! -e $root/usr/libexec/viscum ]] || fail 'a removal leaves an empty folder'
cmp "$work/edited" "$root/etc/config/viscum" || fail 'a removal changes an edited configuration'

# What comes back takes it as it was.
opkg install "$work/viscum.ipk"
cmp "$work/edited" "$root/etc/config/viscum" || fail 'an installation changes what a removal left'

# In an image, which is made elsewhere: nothing runs but what enables it. The first boot names the LAN.
system image
export OFFLINE=1
opkg install "$work/viscum.ipk"
expect 'what procd is told by an image' '' "$(told)"
[[ -L $root/etc/rc.d/S95viscum ]] || fail 'it is not enabled in an image'
[[ -e $root/etc/uci-defaults/90-viscum && ! -e $root/etc/viscum ]] || fail 'in an image something was run'
opkg install "$work/next.ipk"
[[ ! -e $root/etc/config/viscum-opkg ]] || fail 'a configuration that nobody edited is kept'
expect 'a configuration that nobody edited' '# New in version 99.' "$(tail -n 1 "$root/etc/config/viscum")"
opkg remove viscum
expect 'what a removal leaves in an image' '' "$(added)"
expect 'what procd is told by a removal from an image' '' "$(told)"
opkg install "$work/viscum.ipk"
unset OFFLINE
for time in first second; do
    inside /bin/sh /etc/uci-defaults/90-viscum || fail "the $time time, the script for the first boot fails"
    expect "the LAN after the $time boot" "	list lan 'br-guest'" "$(grep '^	list' "$root/etc/config/viscum")"
done
inside /etc/init.d/viscum start || fail 'it does not start at the first boot'
expect 'what procd is told at the first boot' set "$(told)"

# apk stops nothing at an upgrade, and runs other scripts.
system apk
cp -a "$work/apk/viscum/root/." "$root/"
mkdir "$root/tmp/scripts"
cp "$work"/apk/viscum/scripts/* "$root/tmp/scripts/"
inside /tmp/scripts/post-install
expect 'what procd is told at an installation by apk' set "$(told)"
inside /etc/init.d/viscum enabled || fail 'it is not enabled by apk'
grep -qx 'lan: \["br-guest"\]' "$root/etc/viscum/viscum.yaml" || fail "$(cat "$root/etc/viscum/viscum.yaml")"
stand_in
inside /tmp/scripts/post-upgrade
expect 'what procd is told at an upgrade by apk' 'set delete set' "$(told)"
[[ ! -e $root/called ]] || fail "an upgrade by apk runs viscumd $(cat "$root/called")"
cp -a "$work/apk/viscum-exporter/root/." "$root/"
mkdir "$root/tmp/exporter"
cp "$work"/apk/viscum-exporter/scripts/* "$root/tmp/exporter/"
inside /tmp/exporter/post-install
expect 'what procd is told at an installation of viscum-exporter by apk' set "$(told)"
inside /tmp/exporter/post-upgrade
expect 'what procd is told at an upgrade of viscum-exporter by apk' 'set delete set' "$(told)"
inside /tmp/scripts/pre-deinstall
expect 'how viscumd is called at a removal by apk' '--instance viscum --discard-newer --uninstall' "$(cat "$root/called")"
[[ ! -e $root/etc/rc.d/S95viscum ]] || fail 'it is enabled after a removal by apk'
